"""One authentication method per module, each offering a `CHECK` (`core.ports.AuthCheck`)."""
