"""The figures of all processes together (prometheus-client, multiprocess mode under the supervisor).

A label is an outcome, a reason or a stage: closed sets, so that no sender can make a new series.
"""

from __future__ import annotations

import os
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30)

TRANSACTIONS = Counter("gateway_transactions", "Transactions by how they ended and why", ("outcome", "reason"))
STAGE_SECONDS = Histogram("gateway_stage_seconds", "Time a message spends in a stage", ("stage",), buckets=_SECONDS)
COMMIT_GROUP = Histogram(
    "gateway_commit_group", "Messages and log lines per transaction of the committer", buckets=(1, 2, 4, 8, 16, 32, 64)
)
SESSIONS = Gauge("gateway_smtp_sessions", "Open SMTP sessions", multiprocess_mode="livesum")
CONTENT_BYTES = Gauge(
    "gateway_content_bytes", "Content held in memory against smtp.memory_budget_bytes", multiprocess_mode="livesum"
)
SPOOLED = Counter(
    "gateway_spooled", "Messages whose content went to the spool: large ones, and all when memory is used up"
)
DELIVERIES = Counter("gateway_deliveries", "Attempts to hand a notification on", ("result",))
DNS_SECONDS = Histogram("gateway_dns_seconds", "Look-ups that asked a name server", ("result",), buckets=_SECONDS)
SCANS = Counter("gateway_scans", "Messages scanned, by status and reason", ("status", "reason"))
LOOP_LAG_SECONDS = Gauge(
    "gateway_loop_lag_seconds", "How late the event loop is, worst of the last seconds", multiprocess_mode="livemax"
)
OUTBOX_WAITING = Gauge(
    "gateway_outbox_waiting", "Notifications that wait to be sent", multiprocess_mode="livemostrecent"
)
OUTBOX_AGE_SECONDS = Gauge(
    "gateway_outbox_age_seconds", "Age of the oldest notification that waits", multiprocess_mode="livemostrecent"
)
CERTIFICATE_EXPIRES_SECONDS = Gauge(
    "gateway_certificate_expires_seconds",
    "Unix time at which the certificate of a setting ends, the earliest of all workers",
    ("setting",),  # a gauge without labels would say 0 for every worker that has no certificate
    multiprocess_mode="livemin",
)
JOB_RUNS = Counter("gateway_job_runs", "Runs of jobs by how they ended: done, failed or cut", ("job", "result"))
SHADOW = Counter(
    "gateway_shadow",
    "Messages that a candidate was asked about beside the live policy: same, differs, or broken",
    ("outcome",),
)
RULES_SKIPPED = Counter(
    "gateway_policy_rules_skipped",
    "Rules that messages did without because a pattern of theirs cannot be run: alarm on any",
)
PARKED = Gauge("gateway_parked", "Messages that wait for a person", multiprocess_mode="livemostrecent")


# a series is looked up once: to find it costs the library more than to count. Labels are closed sets, so these stay small


@lru_cache(maxsize=256)
def stage_seconds(stage: str) -> Histogram:
    return STAGE_SECONDS.labels(stage)


@lru_cache(maxsize=256)
def transactions(outcome: str, reason: str) -> Counter:
    return TRANSACTIONS.labels(outcome, reason)


@lru_cache(maxsize=256)
def scans(status: str, reason: str) -> Counter:
    return SCANS.labels(status, reason)


def exposition() -> bytes:
    """All figures in the Prometheus text format: of every worker when there is a supervisor, else of this process."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
