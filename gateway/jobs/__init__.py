"""DRIVER: what is done by the clock, each job under a lease of its own; the work itself is in `commands` and `store`."""
