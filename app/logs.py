"""Log lines say what happened, never to whom.

One event a line: logfmt or JSON for machines, colours for a terminal. The same form for the
bridge's own lines, gunicorn's and any library's.
"""

import logging.config
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import structlog
from structlog.types import EventDict

from app.log_lines import AddField, LineHandler, OnceAMinute, Render


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose lines carry fields: `log.info("sent", events=3)`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def configure_logs(level: str, form: str) -> None:
    """Send lines of at least this level to stderr, in the given form (`Settings.log_format`)."""
    logging.config.dictConfig(log_config(level, form))


def log_config(level: str, form: str) -> dict[str, Any]:
    """What `logging.config.dictConfig` takes, and gunicorn too.

    Quiet whatever they are set to are those that print what must not be read: at DEBUG the SDK
    prints whole bodies and the write key, and at any level what Segment answered
    (docs/facts.md § 3); urllib3 and `flask run` (werkzeug) print URLs, gunicorn at DEBUG
    what it received.
    """
    if form == "auto":
        form = "pretty" if sys.stderr.isatty() else "logfmt"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        # somebody who debugs wants each line
        "handlers": {
            "stderr": {
                "()": LineHandler if level == "debug" else OnceAMinute,
                "fields": _FIELDS,
                "render": _renderer(form),
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


def where(error: BaseException) -> str:
    """The kind of an error and the line it came from: its text may quote the event."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    line = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "nowhere"
    return f"{type(error).__name__} at {line}"


def _no_traceback(_: Any, __: str, line: EventDict) -> EventDict:
    """A traceback ends with the text of its error, and a library's may quote what it was given."""
    found = line.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        line["error"] = where(error)
    return line


_FIELDS: Sequence[AddField] = (
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _no_traceback,
)


def _renderer(form: str) -> Render:
    renderers: dict[str, Any] = {
        "json": structlog.processors.JSONRenderer(),
        "logfmt": structlog.processors.LogfmtRenderer(
            key_order=["timestamp", "level", "event"], bool_as_flag=False
        ),
        "pretty": structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
    }
    render: Render = renderers[form]
    return render


def _say(_: Any, __: str, line: EventDict) -> NoReturn:
    """The end of the bridge's own lines. As records of the standard library's they would take twice
    as long, and each webhook has one."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            handler.say(line, line["event"])
    raise structlog.DropEvent


structlog.configure(
    processors=[structlog.stdlib.filter_by_level, *_FIELDS, _say],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
