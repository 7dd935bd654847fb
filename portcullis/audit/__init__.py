"""A second judge of the fourteen rules: slow, obvious, and independent of the first.

Written from the text of the rules alone. It reads an exported ledger (`portcullis event export`),
folds the facts in its own way, and says which decisions the facts demand, which they do not
justify, and which figures differ. It shares no code with the engine it judges: an import contract
forbids it (`pyproject.toml`). Start at `inquiry.audit`; what is checked is in `docs/audit.md`.

Units as in the ledger: time in microseconds UTC, prices in ticks, averages in micro-ticks, money
in micro-units of the account's currency, sizes in contracts.
"""
