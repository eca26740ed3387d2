"""The command line: one module per command group. Thin: parse arguments, call commands or the store, print."""
