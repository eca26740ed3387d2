"""What every room knows: values, ports and the one grammar. Standard library (and idna) only, no I/O."""
