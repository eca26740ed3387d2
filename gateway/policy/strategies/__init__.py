"""The ways to choose an agent, one file each: `STRATEGY` with `name` and `choose` (`core.ports.Strategy`). Pure."""
