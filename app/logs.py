"""Configure logging: one event a line, with what happened and never whose event it was.

The bridge's own lines, gunicorn's and those of libraries have the same format: logfmt or JSON for
machines, colours for a terminal.
"""

import logging
import logging.config
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import structlog
from structlog.types import EventDict

from app.log_handlers import DeduplicatingHandler, LineHandler, Processor, Renderer


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger whose lines carry fields: `log.info("sent", events=3)`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def configure_logs(level: str, log_format: str) -> None:
    """Log lines of at least this level to stderr, in the given format (`Settings.log_format`)."""
    logging.config.dictConfig(log_config(level, log_format))


def log_config(level: str, log_format: str) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`, and for gunicorn.

    Some loggers are quiet at any level, because they print secrets or personal data. The SDK prints
    what Segment answered and, at DEBUG, whole bodies and the write key
    (docs/development/facts.md § 3). urllib3 and `flask run` (werkzeug) print URLs. gunicorn at
    DEBUG prints what it received.
    """
    if log_format == "auto":
        log_format = "pretty" if sys.stderr.isatty() else "logfmt"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "stderr": {
                # for debugging, each line is wanted
                "()": LineHandler if level == "debug" else DeduplicatingHandler,
                "processors": _PROCESSORS,
                "renderer": _renderer(log_format),
            }
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "app": {"level": level.upper()},
            "gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
            "segment": {"level": "CRITICAL", "propagate": False},
            "urllib3": {"level": "ERROR"},
            "werkzeug": {"level": "CRITICAL", "propagate": False},
        },
    }


def error_location(error: BaseException) -> str:
    """Return an error's class and the line that raised it.

    Its message is left out, because it may quote the event.
    """
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    line = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "nowhere"
    return f"{type(error).__name__} at {line}"


def _replace_traceback(_: Any, __: str, line: EventDict) -> EventDict:
    """Log only where an error was raised: a traceback ends with its message, which may quote the
    event."""
    exc_info = line.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        line["error"] = error_location(error)
    return line


_PROCESSORS: Sequence[Processor] = (
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    _replace_traceback,
)


def _renderer(log_format: str) -> Renderer:
    renderers: dict[str, Any] = {
        "json": structlog.processors.JSONRenderer(),
        "logfmt": structlog.processors.LogfmtRenderer(
            key_order=["timestamp", "level", "event"], bool_as_flag=False
        ),
        "pretty": structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
    }
    renderer: Renderer = renderers[log_format]
    # the time of writing, so that a line that was held back is not older than the one above it
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return lambda logger, level, line: renderer(logger, level, stamp(logger, level, line))


def _emit(_: Any, __: str, line: EventDict) -> NoReturn:
    """Hand the bridge's own lines to the handlers directly.

    As log records of the standard library they would take twice as long, and each webhook logs one.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            handler.emit_line(line, line["event"])
    raise structlog.DropEvent


structlog.configure(
    # the level is looked up for each line, because commands change it while they run
    processors=[structlog.stdlib.filter_by_level, *_PROCESSORS, _emit],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
