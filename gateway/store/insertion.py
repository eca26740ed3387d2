"""Rows straight to the driver: the INSERT of a table is compiled once, and its values are adapted by the column types.

SQLAlchemy's own way adapts each row through its general machinery, which took half of the committer's time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, insert
from sqlalchemy.sql.compiler import SQLCompiler
from sqlmodel import SQLModel

from gateway.store.tables.columns import columns

Row = dict[str, Any]
_Adapt = Callable[[Any], Any]


def insert_rows(connection: Connection, table: type[SQLModel], rows: Sequence[Row]) -> None:
    """Insert rows that all name the same columns. Raises what the database raises."""
    statement, names, adapters = _prepared(table, tuple(rows[0]), connection.dialect)
    values: list[Any] = []
    for row in rows:
        adapted = {name: adapt(row[name]) for name, adapt in adapters}
        whole = row | adapted
        values.append(tuple(whole[n] for n in names) if names else whole)
    connection.exec_driver_sql(statement, values if len(values) > 1 else values[0])


@lru_cache(maxsize=256)
def _prepared(
    table: type[SQLModel], given: tuple[str, ...], dialect: Dialect
) -> tuple[str, tuple[str, ...], tuple[tuple[str, _Adapt], ...]]:
    """The statement, the columns in the order of its values (empty where it names them), and how values are adapted."""
    compiled = insert(table).compile(dialect=dialect, column_keys=list(given))
    if not isinstance(compiled, SQLCompiler) or compiled.insert_prefetch:
        raise TypeError(f"{table.__name__} has defaults that only SQLAlchemy can fill in")
    adapters = []
    for name in given:
        adapt = getattr(columns(table), name).type.dialect_impl(dialect).bind_processor(dialect)
        if adapt:
            adapters.append((name, adapt))
    return str(compiled), tuple(compiled.positiontup or ()), tuple(adapters)
