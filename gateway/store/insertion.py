"""Rows straight to the driver: the INSERT of a table is compiled once, and its values are adapted by the column types.

SQLAlchemy's own way adapts each row through its general machinery, which took half of the committer's time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
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
    prepared = _prepared(table, tuple(rows[0]), connection.dialect)
    by_column = [[row[name] for row in rows] for name in prepared.names]
    for place, adapt in prepared.adapters:
        by_column[place] = _adapted(adapt, by_column[place])
    values: list[Any] = list(zip(*by_column, strict=True))
    if not prepared.by_position:
        values = [dict(zip(prepared.names, row, strict=True)) for row in values]
    connection.exec_driver_sql(prepared.statement, values if len(values) > 1 else values[0])


def _adapted(adapt: _Adapt, values: list[Any]) -> list[Any]:
    """Most moments of a group are one and the same: adapted once."""
    if not isinstance(values[0], datetime):
        return list(map(adapt, values))
    known = {value: adapt(value) for value in set(values)}
    return [known[value] for value in values]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """`names` are the columns in the order of the statement's values; `adapters` what some of these need, by place."""

    statement: str
    names: tuple[str, ...]
    by_position: bool
    adapters: tuple[tuple[int, _Adapt], ...]


@lru_cache(maxsize=256)
def _prepared(table: type[SQLModel], given: tuple[str, ...], dialect: Dialect) -> _Prepared:
    compiled = insert(table).compile(dialect=dialect, column_keys=list(given))
    if not isinstance(compiled, SQLCompiler) or compiled.insert_prefetch:
        raise TypeError(f"{table.__name__} has defaults that only SQLAlchemy can fill in")
    names = tuple(compiled.positiontup or given)
    types = [columns(table)[name].type.dialect_impl(dialect) for name in names]
    adapters = [(place, adapt) for place, kind in enumerate(types) if (adapt := kind.bind_processor(dialect))]
    return _Prepared(str(compiled), names, bool(compiled.positiontup), tuple(adapters))
