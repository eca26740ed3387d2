"""Structured process log, with the trace id of the transaction at hand in every line.

The delivery log (who, whom, what came of it) lives in the database; these lines keep addresses out.
"""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from typing import Any

import structlog

trace_id: ContextVar[str] = ContextVar("trace_id", default="")


def _with_trace(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if trace := trace_id.get():
        event["trace"] = trace
    return event


class _Stderr:
    """Whatever stderr is when a line is written: what captures it for a while must not keep the loggers made then."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def set_up(form: str = "auto") -> None:
    """`console`, `json`, or `auto`: console on a terminal, else one JSON object a line. Writes to stderr."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    # rich's tracebacks show every local, mail and keys among them, and take seconds of the event loop
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer: Any = plain if console else structlog.processors.JSONRenderer()
    processors: list[Any] = [
        _with_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not console:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=_Stderr()),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    # aiosmtpd logs peers, senders and message lines below WARNING; pyspf and dkimpy are chatty too
    for name in ("mail.log", "mail.debug", "aiosmtpd", "dkimpy", "uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def get(name: str) -> Any:
    """A logger whose lines carry `room`."""
    return structlog.get_logger(room=name)
