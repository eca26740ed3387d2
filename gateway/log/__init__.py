"""Structured process log, with the trace id of the transaction at hand in every line.

The delivery log (who, whom, what came of it) lives in the database; these lines keep addresses out. Writing them makes
nobody wait and breaks nothing: see `writer`. What every transaction is told with: see `canonical`.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TextIO

import structlog

from gateway.core.outcome import Outcome
from gateway.core.trace import Step, TransactionRecord
from gateway.log.canonical import escaped, fields, key_hashes
from gateway.log.writer import FLUSH_SECONDS, Writer

__all__ = ["close", "get", "key_hashes", "set_up", "trace_id", "transaction"]

trace_id: ContextVar[str] = ContextVar("trace_id", default="")

_writer = Writer()


def set_up(form: str = "auto", *, least: int = logging.INFO) -> None:
    """`console`, `json`, or `auto`: console on a terminal, else one JSON object a line. Writes to stderr.

    `least` is the lowest level that is shown.
    """
    terminal = sys.stderr is not None and sys.stderr.isatty()
    console = form == "console" or (form == "auto" and terminal)
    processors: list[Any] = [
        _with_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _escaped,
    ]
    if console:
        # rich's tracebacks show every local, mail and keys among them, and take seconds of the event loop
        processors.append(structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=_traceback))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(file=_writer),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,  # else a logger that has logged would keep the form it had then
    )
    _writer.notice = _notice
    _hear_libraries()


def _hear_libraries() -> None:
    # aiosmtpd logs peers, senders and message lines below WARNING; pyspf and dkimpy are chatty too
    for name in ("mail.log", "mail.debug", "aiosmtpd", "dkimpy", "uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # where nobody has configured handlers, Python's own last resort would write to stderr itself, and wait for it
    logging.lastResort = _FromLibraries(logging.WARNING)


def get(name: str) -> Any:
    """A logger whose lines carry `room`."""
    return structlog.get_logger(room=name)


_transactions = get("transactions")
TRANSACTION = "transaction"


def transaction(
    record: TransactionRecord,
    steps: Sequence[Step],
    outcome: Outcome | None = None,
    *,
    seconds: float | None = None,
    kept_as: str = "",
    again: bool = False,
) -> None:
    """The canonical line of one transaction that has ended.

    `outcome`, `seconds` in all and `kept_as` (ticketed, ignored, quarantined, parked) of one that went the line; `again`
    for a kept message that went it once more.
    """
    _transactions.info(TRANSACTION, **fields(record, steps, outcome, seconds=seconds, kept_as=kept_as, again=again))


def close(seconds: float = FLUSH_SECONDS) -> None:
    """Wait until every line is out, at most so long. For who ends without Python's own end, or writes to stderr next."""
    _writer.close(seconds)


def _with_trace(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if trace := trace_id.get():
        event.setdefault("trace", trace)
    return event


def _escaped(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Errors quote what clients and other servers said. The fields of a transaction are plain from the beginning."""
    return event if event.get("event") == TRANSACTION else {name: _clean(value) for name, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, Mapping):
        return {_clean(k): _clean(v) for k, v in value.items()}
    return [_clean(v) for v in value] if isinstance(value, list) else value


def _traceback(out: TextIO, exc_info: Any) -> None:
    """For the console. JSON escapes by itself."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    out.write("\n".join(escaped(line) for line in text.getvalue().split("\n")))


def _notice(dropped: int) -> str:
    line: Any = {"event": "log lines dropped", "room": "log", "lines": dropped}
    for processor in structlog.get_config()["processors"]:
        line = processor(None, "warning", line)
    return f"{line}\n"


class _FromLibraries(logging.Handler):
    """Warnings of asyncio, uvicorn and other libraries, as lines of this log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit their format
            text = str(record.msg)
        get(record.name).log(record.levelno, text, exc_info=record.exc_info)


# structlog's own default would print everything to stdout; who sets nothing up sees warnings, as with Python's logging
set_up(least=logging.WARNING)
