"""The environment of every Prefect process: one place, so that server, workers and runs agree.

Nothing here imports Prefect. Its server listens on loopback, keeps its database in the home, tells
nobody anything, and forgets finished runs: what must be kept is in the ledger.
"""

from __future__ import annotations

from portcullis.config.settings import Settings

EVENTS_KEPT = "PT2H"  # seventeen a run: nine tenths of what its database would grow by
RUNS_KEPT_SECONDS = 2 * 24 * 3600
BATCH = 50  # SQLite takes few large transactions better than many small ones


def prefect_address(settings: Settings) -> str:
    """Where people look."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.prefect_port}"


def prefect_environment(settings: Settings) -> dict[str, str]:
    """The variables that differ from Prefect's own defaults, for server and clients alike."""
    home = settings.home_path.resolve() / "prefect"
    address = prefect_address(settings)
    server = {
        "ANALYTICS_ENABLED": "false",
        "UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "ALLOW_EPHEMERAL_MODE": "false",
        "API_HOST": settings.host,
        "API_PORT": str(settings.prefect_port),
        "API_CSRF_PROTECTION_ENABLED": "true",
        "CORS_ALLOWED_ORIGINS": address,  # no other page in the browser may talk to it
        "DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "SERVICES_DB_VACUUM_RETENTION_PERIOD": str(RUNS_KEPT_SECONDS),
        "SERVICES_DB_VACUUM_LOOP_SECONDS": "600",  # its hour would keep half as much again
        "EVENTS_RETENTION_PERIOD": EVENTS_KEPT,
        "SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": str(BATCH),
        "SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": str(BATCH),
        "SERVICES_EVENT_PERSISTER_BATCH_SIZE": str(BATCH),
        "SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": str(BATCH),
        "SERVICES_TRIGGERS_READ_BATCH_SIZE": str(BATCH),
        # Its loops are made for thousands of deployments; at rest they were most of its time.
        "SERVICES_SCHEDULER_MAX_RUNS": "24",
        "SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT10M",
        "SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "30",
        "SERVICES_LATE_RUNS_LOOP_SECONDS": "15",
        "SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "60",
        "SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "60",
        "SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "30",
        "LOGGING_LEVEL": "WARNING",
    }
    client = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_PREFETCH_SECONDS": "25",
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        "PREFECT_WORKER_WEBSERVER_HOST": settings.host,  # never started; its default is 0.0.0.0
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        "PREFECT_CLI_PROMPT": "false",
        "MALLOC_ARENA_MAX": "2",  # one for each thread keeps what all of them freed: 40 MB an hour
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }
    return {**client, **{f"PREFECT_SERVER_{name}": value for name, value in server.items()}}
