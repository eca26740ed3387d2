"""The conditions of the language, one file each: `CONDITION` with `name`, `Params` and `test`."""
