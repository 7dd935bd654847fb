"""The names of everything that can be evidence: who gives it, and what it speaks of."""

from __future__ import annotations

EVIDENCE: dict[str, str] = {
    "venue": "the worker: connected, and every account compared with the venue",
    "clock": "the worker: its clock runs with the monotonic one",
    "ledger": "the worker: events become durable",
    "operations": "heartbeat: the scheduled side lives, and the worker is well",
    "market_data": "market_data_quality: quotes may be relied on",
    "event_log": "integrity: chain, states and decisions hold",
    "ledger_rows": "ledger_rows: the suite over the ledger's rows holds",
    "snapshot": "snapshot: every account has its daily record, and the records hold",
    "capital": "capital: pools and accounts agree, allocations are within capital",
    "strategies": "strategies: every move was legal and led to the present state",
    "backup": "backup: a second copy was made and read back",
    "restore": "restore_drill: the newest backup came back to the same state",
    "shipped": "the shipper: events of the last seconds are at the backup target",
    "alerts": "the sender of alerts: it keeps up, and what is due reaches somebody",
}
"""Evidence by its name: what a verdict may be called, and what `monitoring.yaml` may require."""

ALERTS = "alerts"
"""Left by the sender every 20 s for a minute; the dead-man's ping tells of its failure."""

OF_THE_WORKER = frozenset(("venue", "clock", "ledger"))
"""What the worker alone vouches for."""
