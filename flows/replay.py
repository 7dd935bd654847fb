"""A replay on demand."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from checks import replayed
from portcullis.config.settings import read_settings
from tasks.evidence import carry_out, ended, show

AccountName = Annotated[str, Field(max_length=64)]


def _name() -> str:
    from prefect import runtime

    return f"replay of {runtime.flow_run.parameters.get('account') or 'every account'}"


@flow(name="replay", flow_run_name=_name, timeout_seconds=3_000)
async def replay(account: AccountName | None = None) -> State[Any]:
    """Derive every decision of the ledger again and compare; fails when one differs.

    Args:
        account: Whose decisions are compared; empty: those of all accounts and of the system.
    """
    found = await carry_out(
        "replay", read_settings(), lambda settings, _now: replayed.check(settings, account)
    )
    await show("replay", found)
    return ended(found)
