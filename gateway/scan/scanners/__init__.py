"""One virus or spam scanner a file; each offers `SCANNER`, a `gateway.scan.configured.ScannerKind`."""
