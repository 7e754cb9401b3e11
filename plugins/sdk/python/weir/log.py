"""Entries for the host's log, with the pipeline's and the operator's name on them, rate limited.

    from weir import log

    log.info("alerts above %s degrees", limit)

As with `logging`, the arguments are formatted only when somebody listens. What is written through
`logging` itself, by a library for one, arrives as well. In a test entries go to stderr.
"""

from __future__ import annotations

from logging import Handler, LogRecord

from . import _host
from ._host import Level

__all__ = ["Level", "LoggingHandler", "debug", "enabled", "error", "info", "trace", "warn"]


def enabled(level: Level) -> bool:
    """Whether entries of this level go anywhere. Ask before you compute something costly."""
    return _host.log.enabled(level)


def trace(message: str, *arguments: object) -> None:
    """What only the author of the plugin wants to see."""
    _log(Level.TRACE, message, arguments)


def debug(message: str, *arguments: object) -> None:
    """What helps to find out why."""
    _log(Level.DEBUG, message, arguments)


def info(message: str, *arguments: object) -> None:
    """What whoever runs the pipeline wants to know."""
    _log(Level.INFO, message, arguments)


def warn(message: str, *arguments: object) -> None:
    """What whoever runs the pipeline should look at."""
    _log(Level.WARN, message, arguments)


def error(message: str, *arguments: object) -> None:
    """What whoever runs the pipeline must look at."""
    _log(Level.ERROR, message, arguments)


def _log(level: Level, message: str, arguments: tuple[object, ...]) -> None:
    if _host.log.enabled(level):
        _host.log.log(level, _host.printable(message % arguments if arguments else message))


class LoggingHandler(Handler):
    """Hands entries of the standard `logging` on. The SDK installs it on the root logger."""

    def emit(self, record: LogRecord) -> None:
        """Writes one entry, with the name of the logger before it."""
        level = Level(min(max(record.levelno // 10, Level.TRACE), Level.ERROR))
        if _host.log.enabled(level):
            _host.log.log(level, _host.printable(f"{record.name}: {self.format(record)}"))
