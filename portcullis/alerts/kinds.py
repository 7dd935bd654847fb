"""Every kind of alert: how bad it is, whose matter, what causes it and what to do. A plain list.

A kind without a page `docs/runbooks/<name>.md` fails the suite.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from portcullis.domain.judge import Severity

Topic = Literal["gate", "evidence", "account", "venue", "worker", "operations", "alerts"]
TOPICS: tuple[str, ...] = get_args(Topic)
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""From the least to the worst."""

Ends = Literal["condition", "person", "itself"]


class Kind(msgspec.Struct, frozen=True):
    """A kind of alert. `ends`: what resolves one.

    - condition: what is wrong is mended, and the ledger says so;
    - person: it happened, and is over once somebody has acknowledged it;
    - itself: it is told once and over.

    `cause` and `action` serve where what happened brings none of its own. `always`: told even if
    it is over before anybody could be.
    """

    name: str
    severity: Severity
    topic: Topic
    title: str
    cause: str
    action: str
    ends: Ends = "condition"
    always: bool = False

    @property
    def runbook(self) -> str:
        return f"docs/runbooks/{self.name}.md"


KINDS: tuple[Kind, ...] = (
    # --- the gate -------------------------------------------------------------------------------
    Kind(
        "gate_fell",
        "critical",
        "gate",
        "The gate is shut",
        "required evidence failed or expired",
        "mend what lacks (`portcullis status`), then `portcullis mode release --reason ...`",
    ),
    Kind(
        "shutdown",
        "critical",
        "gate",
        "The gate is shut down",
        "the fail-safe tripped, or a person asked for it",
        "find out why before anything else, then `portcullis mode release --reason ...`",
    ),
    Kind(
        "start_failed",
        "critical",
        "gate",
        "The worker started, the gate stays shut",
        "evidence of the start failed or did not come in time",
        "mend what lacks (`portcullis status`), then `portcullis mode release --reason ...`",
    ),
    Kind(
        "mode_released",
        "info",
        "gate",
        "The gate was opened",
        "a person released it",
        "nothing, if it was meant",
        "itself",
    ),
    # --- evidence -------------------------------------------------------------------------------
    Kind(
        "evidence_lacking",
        "warning",
        "evidence",
        "Evidence is lacking",
        "a check failed or is overdue",
        "`portcullis evidence show NAME`, and mend what it names",
    ),
    Kind(
        "capital_inconsistent",
        "critical",
        "evidence",
        "Capital contradicts itself",
        "the books of pools and accounts do not agree",
        "`portcullis capital`; verify and replay the ledger, keep it",
    ),
    # --- accounts -------------------------------------------------------------------------------
    Kind(
        "breach",
        "warning",
        "account",
        "A limit was broken",
        "a rule of the account was exceeded",
        "look at `portcullis account show ACCOUNT`; a lock ends as it says",
        always=True,
    ),
    Kind(
        "near_limit",
        "warning",
        "account",
        "Near a limit",
        "most of a limit is used",
        "reduce the risk, or stop for the day",
        "itself",
    ),
    Kind(
        "enforcement_failed",
        "critical",
        "account",
        "Enforcement failed",
        "a command was not confirmed by the venue",
        "flatten the account by hand at the venue, then look at `portcullis account show ACCOUNT`",
    ),
    Kind(
        "command_bound",
        "critical",
        "account",
        "Too many commands on an account",
        "something undoes what is enforced",
        "look at the account at the venue now",
        "person",
    ),
    Kind(
        "balance_changed",
        "warning",
        "account",
        "A balance changed by no trade",
        "a payout, a fee, a correction, or a fill that was not seen",
        "compare the account's statement with `portcullis account show ACCOUNT`",
        "person",
    ),
    Kind(
        "lost_fills",
        "warning",
        "account",
        "Fills were missed by the stream",
        "the venue's stream left fills out; they were found in its records",
        "look at the account's last minutes: `portcullis event list --account ACCOUNT`",
        "person",
    ),
    Kind(
        "locked_by_person",
        "info",
        "account",
        "A person locked an account",
        "a request",
        "nothing, if it was meant",
        "itself",
    ),
    # --- the venue ------------------------------------------------------------------------------
    Kind(
        "venue_disconnected",
        "critical",
        "venue",
        "The venue has been away for more than 5 minutes",
        "the network, the venue, or our credentials",
        "look at the venue's own platform; positions are watched by nobody here",
    ),
    Kind(
        "authorization_lost",
        "critical",
        "venue",
        "The venue no longer accepts us",
        "the credential was changed, revoked or is in use elsewhere",
        "renew it (`portcullis init`), then look at the accounts at the venue",
    ),
    Kind(
        "data_fault",
        "warning",
        "venue",
        "Data that cannot be used",
        "a price off its tick, not positive or out of order",
        "look at the instrument's prices elsewhere",
        "person",
    ),
    # --- the worker -----------------------------------------------------------------------------
    Kind(
        "worker_crashed",
        "critical",
        "worker",
        "The worker ended by itself",
        "an error nobody foresaw, or it was killed",
        "read the logs of the home, mend the cause, look at the accounts",
        "person",
    ),
    Kind(
        "worker_silent",
        "critical",
        "worker",
        "The worker is silent",
        "it ended, hangs, or its machine does",
        "start it (`portcullis up`), and watch the accounts at the venue until it runs",
    ),
    Kind(
        "clock_stepped",
        "critical",
        "worker",
        "The machine's clock was moved",
        "the time service, or a person",
        "check the time service; records keep the later time meanwhile",
        "person",
    ),
    Kind(
        "bound_reached",
        "warning",
        "worker",
        "A bound was reached",
        "something produces more than planned",
        "find what it is, then raise the bound if it is right",
        "person",
    ),
    Kind(
        "ledger_restored",
        "warning",
        "worker",
        "The ledger was restored",
        "a person restored it from a backup",
        "compare the accounts with the venue's statements since the backup",
        "person",
    ),
    Kind(
        "rules_loaded",
        "info",
        "worker",
        "Other rules are in force",
        "the configuration was read again",
        "nothing, if it was meant",
        "itself",
    ),
    Kind(
        "loosening_held",
        "warning",
        "worker",
        "A limit is to be loosened",
        "an administrator asked for a looser limit",
        "not meant: `portcullis config withdraw --reason ...`; any person here may",
        "itself",
    ),
    # --- the operations side --------------------------------------------------------------------
    Kind(
        "operations_silent",
        "critical",
        "operations",
        "No heartbeat of the operations side",
        "Prefect or the flows ended or hang",
        "start them (`portcullis up`); the worker enforces meanwhile",
    ),
    Kind(
        "flow_failed",
        "warning",
        "operations",
        "A flow failed",
        "see the run",
        "open the run in Prefect, mend what it says",
    ),
    Kind(
        "keys_refused",
        "warning",
        "operations",
        "Wrong keys are tried at the API",
        "a program uses a key that has ended, or somebody guesses",
        "find out who is at that address; see `logs/api.jsonl` in the home",
        ends="person",
    ),
    # --- the alerts themselves ------------------------------------------------------------------
    Kind(
        "delivery_failed",
        "warning",
        "alerts",
        "An alert could not be delivered",
        "the service refused it, or did not take it for too long",
        "`portcullis alert channels`, mend the channel, then `portcullis alert redeliver ALERT`",
        "person",
    ),
    Kind(
        "test",
        "info",
        "alerts",
        "A test",
        "somebody asked for it",
        "nothing",
        "itself",
    ),
)

BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}

GATE_KINDS = ("gate_fell", "shutdown", "start_failed")
"""One of these names what lacks; what it names is listed then, and not told a second time."""
