"""A replay of the whole ledger as a finding."""

from __future__ import annotations

from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings
from portcullis.store.opening import open_reader
from portcullis.worker.replay import Replayed, replay


def check(settings: Settings, account: str | None) -> Finding:
    """Derive every decision again; raises StoreError when the ledger cannot be read."""
    with open_reader(settings) as reader:
        found = replay(reader, account, through=reader.head().position)
    return judge(found, account)


def judge(found: Replayed, account: str | None) -> Finding:
    """What differs fails; so does a replay that compared nothing."""
    whose = account or "every account"
    rows = [
        {"what": kind, "compared": count, "recorded": "", "derived": ""}
        for kind, count in found.compared.items()
    ]
    rows += [
        {
            "what": f"event {each.position} of {each.stream}",
            "compared": 1,
            "recorded": each.recorded,
            "derived": each.derived,
        }
        for each in found.differences
    ]
    compared = sum(found.compared.values())
    if found.differences:
        differ = len(found.differences)
        return Finding(Grade.FAIL, f"{differ} of {compared} decisions of {whose} differ", rows)
    if not compared:
        return Finding(Grade.EMPTY, f"there is no decision of {whose} to compare", rows)
    return Finding(
        Grade.PASS, f"{compared} decisions of {whose} from {found.facts} facts agree", rows
    )
