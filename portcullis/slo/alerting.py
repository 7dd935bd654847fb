"""What Prometheus watches besides the budgets: a plain list of rules."""

from __future__ import annotations

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """An alert of Prometheus: `expr` for so long (`lasts`), how bad, and what it says."""

    name: str
    expr: str
    lasts: str
    severity: str
    summary: str
    runbook: str = ""


INVARIANTS: tuple[Rule, ...] = (
    Rule(
        "PortcullisEnforcementFailed",
        'increase(portcullis_commands_total{outcome=~"refused|unconfirmed"}[5m]) > 0',
        "0m",
        "page",
        "A command was not confirmed by the venue",
        "enforcement_failed",
    ),
    Rule(
        "PortcullisCriticalAlertNotDelivered",
        'portcullis_alert_oldest_waiting_seconds{severity="critical"} > 60',
        "1m",
        "page",
        "A critical alert has waited for more than a minute",
        "delivery_failed",
    ),
)
"""What must never happen has no budget."""

RULES: tuple[Rule, ...] = (
    Rule("PortcullisWorkerAway", 'up{job="portcullis-worker"} == 0', "1m", "page",
         "The worker's gate does not answer", "worker_silent"),
    Rule("PortcullisWorkerNotScraped", 'absent(up{job="portcullis-worker"})', "5m", "page",
         "No worker is scraped at all", "worker_silent"),
    Rule("PortcullisApiAway", 'up{job="portcullis-api"} == 0', "2m", "ticket",
         "The API does not answer"),
    Rule("PortcullisGateShut", "portcullis_gate_open == 0", "15m", "ticket",
         "The gate has been shut for a quarter of an hour", "gate_fell"),
    Rule("PortcullisShutdown", 'portcullis_mode{mode="SHUTDOWN"} == 1', "0m", "page",
         "The system is in SHUTDOWN", "shutdown"),
    Rule("PortcullisStartTakesLong", 'portcullis_mode{mode="STARTING"} == 1', "10m", "page",
         "The worker has been starting for ten minutes", "start_failed"),
    Rule("PortcullisEvidenceFailing", "portcullis_evidence_passing == 0", "5m", "ticket",
         "Evidence {{ $labels.evidence }} does not pass", "evidence_lacking"),
    Rule("PortcullisEvidenceAboutToExpire",
         'portcullis_evidence_expires_seconds{evidence=~"event_log|ledger_rows|capital|strategies'
         '|backup"} < 600', "5m", "ticket",
         "Evidence {{ $labels.evidence }} expires within ten minutes", "evidence_lacking"),
    Rule("PortcullisHeartbeatMissed",
         'portcullis_evidence_expires_seconds{evidence="operations"} < 45', "1m", "ticket",
         "Heartbeats of the operations side are missing", "operations_silent"),
    Rule("PortcullisBackupLate", 'portcullis_evidence_expires_seconds{evidence="backup"} < 0',
         "1m", "ticket", "No backup in its time", "evidence_lacking"),
    Rule("PortcullisShippingLate", 'portcullis_evidence_passing{evidence="shipped"} == 0', "2m",
         "ticket", "Events are not at the backup target", "evidence_lacking"),
    Rule("PortcullisRestoreDrillLate",
         'portcullis_evidence_expires_seconds{evidence="restore"} < 86400', "1h", "ticket",
         "No backup was restored for a week", "evidence_lacking"),
    Rule("PortcullisLedgerNotVerified",
         'portcullis_evidence_passing{evidence="event_log"} == 0', "1m", "page",
         "The ledger does not verify, or was not verified in its time", "evidence_lacking"),
    Rule("PortcullisVenueAway", "portcullis_venue_connected == 0", "5m", "page",
         "Venue {{ $labels.venue }} has been away for five minutes", "venue_disconnected"),
    Rule("PortcullisMarketDataOld", "portcullis_market_data_age_seconds > 300 and on() "
         'portcullis_evidence_passing{evidence="market_data"} == 0', "1m", "ticket",
         "No quote for five minutes while a market is open", "evidence_lacking"),
    Rule("PortcullisEventsNotWritten", "portcullis_event_write_age_seconds > 60", "1m", "page",
         "Nothing became durable for a minute", "worker_silent"),
    Rule("PortcullisSnapshotOld", "portcullis_snapshot_age_seconds > 90000", "5m", "ticket",
         "The state was not kept for 25 hours"),
    Rule("PortcullisQueueDeep", "portcullis_waiting_events > 1000", "1m", "page",
         "More than a thousand facts wait to become durable", "bound_reached"),
    Rule("PortcullisMemoryHigh", "portcullis_memory_bytes > 300e6", "10m", "ticket",
         "The worker takes more than 300 MB"),
    Rule("PortcullisMemoryGrows",
         "predict_linear(portcullis_memory_bytes[6h], 86400) > 600e6", "1h", "ticket",
         "The worker's memory grows towards 600 MB within a day"),
    Rule("PortcullisManyErrors", "portcullis_errors_per_minute > 10", "1m", "ticket",
         "More than ten things a minute go wrong"),
    Rule("PortcullisClockOff", "abs(portcullis_clock_offset_seconds) > 2", "1m", "page",
         "The machine's clock is off", "clock_stepped"),
    Rule("PortcullisLostFills", "increase(portcullis_lost_fills_of_the_day[15m]) > 0", "0m",
         "ticket", "The venue's stream left fills out", "lost_fills"),
    Rule("PortcullisManyDenials",
         'sum(rate(portcullis_decision_seconds_count{decision="denied"}[10m])) > 0.5 * '
         "sum(rate(portcullis_decision_seconds_count[10m]))", "10m", "ticket",
         "More than half of all proposals are denied"),
    Rule("PortcullisDeadLetters", "increase(portcullis_alert_dead_letters[1h]) > 0", "0m",
         "ticket", "Messages on channel {{ $labels.channel }} were given up", "delivery_failed"),
    Rule("PortcullisDiskFull", "portcullis_disk_free_ratio < 0.1", "5m", "page",
         "Less than a tenth of the home's disk is free"),
    Rule("PortcullisApiErrors",
         'sum(rate(portcullis_http_requests_total{status=~"5.."}[5m])) > 0.1', "5m", "ticket",
         "The API answers with errors of its own"),
    Rule("PortcullisKeysTried",
         'sum(increase(portcullis_http_requests_total{status="401"}[10m])) > 50', "0m", "ticket",
         "Somebody tries keys at the API"),
    Rule("PortcullisCertificateExpires",
         "portcullis_certificate_expiry_timestamp_seconds - time() < 14 * 86400", "1h", "ticket",
         "The certificate that the API serves ends within 14 days"),
    Rule("PortcullisKeyExpires",
         "portcullis_api_key_expiry_timestamp_seconds - time() < 14 * 86400", "1h", "ticket",
         "API key {{ $labels.key }} ends within 14 days, and nothing replaces it"),
    Rule("PortcullisEndedKeyUsed",
         "increase(portcullis_api_ended_keys_used_total[15m]) > 0", "5m", "ticket",
         "Somebody sends an API key that has expired or was revoked", "keys_refused"),
    Rule("PortcullisWatchdog", "vector(1)", "0m", "none",
         "Always firing: its silence says that nobody watches"),
)  # fmt: skip
