"""The jobs that are shipped: found, named, and sensible in how often they run."""

from __future__ import annotations

import re

from gateway.jobs.job import all_jobs


def test_each_file_is_a_job_of_its_own_name() -> None:
    jobs = all_jobs()
    assert {"rescan", "scan-later"} <= set(jobs)
    for name, job in jobs.items():
        assert re.fullmatch(r"[a-z][a-z-]+", name)
        assert 10 <= job.every <= 86_400
