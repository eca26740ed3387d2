"""One job a file; each offers `JOB`, a `gateway.jobs.job.Job`."""
