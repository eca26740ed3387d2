"""What is kept: one code path for every database, one transaction for every message."""
