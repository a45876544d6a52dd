"""JSON logs to stderr, one object a line.

A request is one line. Moderated text, raw user ids and keys never reach a log: callers log identifiers, categories,
counts and durations, and this module drops the fields that could hold a text whoever passes them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_NEVER = frozenset(
    {"text", "excerpt", "body", "content", "prompt", "input", "user", "key", "token", "authorization", "api_key"}
)

Logger = structlog.typing.FilteringBoundLogger


def configure(level: str = "info") -> None:
    """Send everything, the libraries' logs too, as JSON lines to stderr."""
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _drop_texts,
            structlog.processors.JSONRenderer(serializer=_dump),
        ],
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LibraryFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(_LEVELS[level], logging.WARNING))  # libraries speak only when something is wrong


def get_logger(name: str) -> Logger:
    """A logger whose lines carry ``component: name``."""
    logger: Logger = structlog.get_logger(component=name)
    return logger


def _dump(event: Any, default: Any) -> bytes:
    return orjson.dumps(event, default=default)


def _drop_texts(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _NEVER.intersection(event):
        event[name] = "(left out)"
    return event


class _LibraryFormatter(logging.Formatter):
    """The lines of uvicorn, SQLAlchemy and others in the same form."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "component": record.name,
            "timestamp": structlog.processors.TimeStamper(fmt="iso", utc=True)(None, "", {})["timestamp"],
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(event).decode()
