"""`python -m tasks.server`: Prefect's server as it comes, with one fault of its mended first.

Prefect 3.8 hands the attribute `state` of new runs to a bulk insert. SQLAlchemy before 2.1 passed
over it; since 2.1 the insert raises, and no schedule ever makes a run. Nothing else is touched,
and once Prefect declares a setter of its own this module does nothing but start it.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any


def mend() -> bool:
    """Let bulk inserts pass over `state`, as they did; False where there is nothing to mend."""
    from prefect.server.database.orm_models import FlowRun, TaskRun

    mended = False
    for model in (FlowRun, TaskRun):
        attribute: Any = model.__dict__["state"]
        if hasattr(attribute, "bulk_dml") and attribute.bulk_dml_setter is None:
            attribute.bulk_dml_setter = _pass_over
            mended = True
    return mended


def _pass_over(_model: type, _row: MutableMapping[str, Any], _value: object) -> None:
    """The states of new runs are inserted by Prefect itself, right after the runs."""


def main() -> None:
    """Serve with the environment that was given, in this process, until SIGTERM or SIGINT."""
    mend()
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    server = get_current_settings().server
    uvicorn.run(
        create_app(final=True),
        host=server.api.host,
        port=server.api.port,
        timeout_keep_alive=server.api.keepalive_timeout,
        log_level=server.logging_level.lower(),
    )


if __name__ == "__main__":
    main()
