"""The plan that a check goes by."""

from __future__ import annotations

from portcullis.config.settings import Settings
from portcullis.domain.events import RulesLoaded, decode
from portcullis.domain.plan import Plan, decode_plan
from portcullis.errors import ConfigError
from portcullis.store.opening import has_ledger, open_reader
from portcullis.store.reading import EventFilter
from portcullis.wiring import configured_plan


def plan_to_go_by(settings: Settings) -> Plan:
    """That of the files; while these have a fault, as in the middle of an edit, the one in force,
    which the ledger has. Raises ConfigError where there is neither.
    """
    try:
        return configured_plan(settings)
    except ConfigError:
        found = _in_force(settings)
        if found is None:
            raise
        return found


def _in_force(settings: Settings) -> Plan | None:
    if not has_ledger(settings):
        return None
    with open_reader(settings) as reader:
        where = EventFilter("system", ("rules_loaded",))
        for row in reader.events(where, newest_first=True):
            event = decode(row.payload)
            return decode_plan(event.plan) if isinstance(event, RulesLoaded) else None
    return None
