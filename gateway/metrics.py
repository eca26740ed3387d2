"""The figures of all processes together (prometheus-client, multiprocess mode under the supervisor).

A label is an outcome, a reason or a stage: closed sets, so that no sender can make a new series.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_TRIES = 3

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
    """All figures in the Prometheus text format: of every worker of every supervisor on this data directory, else of this
    process.
    """
    folder = os.environ.get(FOLDER)
    if folder is None:
        return generate_latest()
    registry = CollectorRegistry()
    registry.register(_AllWorkers(Path(folder)))
    return generate_latest(registry)


class _AllWorkers(Collector):
    """What stands in the folders of all supervisors: one beside the other, named by their roles."""

    def __init__(self, own: Path) -> None:
        self._pattern = f"{own.parent}/*/[cgh]*_*.db"

    def collect(self) -> Iterable[Metric]:
        for _ in range(_TRIES):
            # a supervisor that ends takes its folder along, also between the look and the reading
            with suppress(FileNotFoundError):
                return self._merged()
        return self._merged()

    def _merged(self) -> Iterable[Metric]:
        files = glob.glob(self._pattern)  # noqa: PTH207  the library takes text
        return MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call, no-any-return]
