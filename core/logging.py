"""Logs are events with fields, one line each, and never hold an address."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

ADDRESS = re.compile(r"[^\s<>\"'=:;,()\[\]]+@[^\s<>\"'=:;,()\[\]]+")


def without_addresses(text: str) -> str:
    """Replace whatever looks like an e-mail address."""
    return ADDRESS.sub("[address]", text) if "@" in text else text


def _scrub(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _scrubbed(value) for key, value in event.items()}


def _scrubbed(value: Any) -> Any:
    """Return a field without addresses, however deep they lie; what is no plain value is logged as its text."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {without_addresses(str(key)): _scrubbed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_scrubbed(item) for item in value]
    return without_addresses(str(value))


def configure_logging(*, json: bool = False, level: int = logging.INFO) -> None:
    """Set up structlog for a front door (a command, a task, a service). Importing sets nothing."""
    render = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _scrub,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def get_logger(name: str) -> Any:
    """Return the logger of a module."""
    return structlog.get_logger(name)
