"""One virus or spam scanner a file; each offers `make(…)`, which returns a `gateway.core.ports.Scanner`."""
