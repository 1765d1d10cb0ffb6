"""Log lines say what happened, never to whom.

One event a line: logfmt or JSON for machines, colours for a terminal. The same form for the
bridge's own lines, gunicorn's and any library's.
"""

import logging
import logging.config
import os
import sys
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

import structlog
from structlog.types import EventDict

from app.log_output import Output, output_of, unblock_stderr

MINUTE = 60.0

HELD = ("warning", "error", "critical")
"""The levels at which a repeat is held back."""

SAME = ("logger", "reason", "error", "account")
"""The fields by which two lines of one wording say the same; the others tell of one case of it."""

AddField = Callable[[Any, str, EventDict], EventDict]
Render = Callable[[Any, str, EventDict], str]
"""structlog's processors, of two kinds."""


class LineHandler(logging.StreamHandler[Any]):
    """Takes the bridge's own lines as they are, and what libraries log with the same fields."""

    def __init__(self, fields: Sequence[AddField], render: Render) -> None:
        super().__init__(unblock_stderr())
        self._own_lock = self.lock or threading.RLock()
        self._fields = fields
        self._render = render

    def emit(self, record: logging.LogRecord) -> None:
        """A library's line."""
        with suppress(Exception):  # that it cannot be read: told, it would be quoted
            line: EventDict = {"event": record.getMessage(), "exc_info": record.exc_info}
            self.say(self._whole(line, record.name, record.levelname), str(record.msg))

    def say(self, line: EventDict, wording: str) -> None:  # noqa: ARG002 - all are said
        """`wording` is the line's text before anything was filled in. Called by any thread."""
        self.write(line)

    def write(self, line: EventDict) -> None:
        """Now. A line that cannot be written costs nobody the webhook of which it tells."""
        with self._own_lock, suppress(Exception):
            text = self._to_text(line)
            if output := output_of(self.stream):
                if output.lost:
                    self._tell_lost(output)
                output.put(text.encode(errors="backslashreplace"))
            else:
                self.stream.write(text)
                self.stream.flush()

    def _tell_lost(self, output: Output) -> None:
        """Of lines that nobody read, once somebody does again."""
        line = {"event": "log lines lost: nobody read them", "lost": output.lost}
        text = self._to_text(self._whole({**line, "exc_info": None}, __name__, "WARNING"))
        output.tell_lost(text.encode())

    def _whole(self, line: EventDict, logger: str, level: str) -> EventDict:
        for add in self._fields:
            line = add(logging.getLogger(logger), level.lower(), line)
        return line

    def _to_text(self, line: EventDict) -> str:
        return self._render(None, "", line) + "\n"


class OnceAMinute(LineHandler):
    """Holds back what is like a line of the last minute, and tells at the minute's end of how many
    it was: the latest of them, with the field `repeated`."""

    def __init__(self, fields: Sequence[AddField], render: Render) -> None:
        super().__init__(fields, render)
        self._held: dict[Hashable, _Held] = {}
        """Those that end first come first."""
        self._teller: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._held.clear)  # the parent tells

    def say(self, line: EventDict, wording: str) -> None:
        """Said at once, or held back and counted."""
        if line["level"] not in HELD:
            self.write(line)
            return
        with self._own_lock, suppress(Exception):
            key = (wording, *(str(line.get(field)) for field in SAME))
            self._tell_ended()
            if held := self._held.get(key):
                self._held[key] = held.again(line)
            else:
                self.write(line)
                self._hold(key, line)

    def close(self) -> None:
        """At the end of the process: nothing is held back for ever."""
        with self._own_lock:
            for held in self._held.values():
                self._tell(held)
            self._held.clear()
        super().close()

    def _hold(self, key: Hashable, line: EventDict) -> None:
        self._held[key] = _Held(0, line, time.monotonic() + MINUTE)
        if self._teller is None or not self._teller.is_alive():  # also in a child, after a fork
            self._teller = threading.Thread(target=self._tell_in_time, name="log", daemon=True)
            # one that cannot be started is missed only if nothing more is said
            self._teller.start()

    def _tell_in_time(self) -> None:
        """One thread for all that is held, until nothing is."""
        while True:
            with self._own_lock:
                self._tell_ended()
                if not self._held:
                    self._teller = None
                    return
                first = next(iter(self._held.values())).until
            time.sleep(max(0.0, first - time.monotonic()))

    def _tell_ended(self) -> None:
        """Of those whose minute is over."""
        now = time.monotonic()
        while self._held:
            key, held = next(iter(self._held.items()))
            if held.until > now:
                return
            del self._held[key]
            if held.repeated:
                self._held[key] = _Held(0, held.latest, now + MINUTE)
                self._tell(held)

    def _tell(self, held: "_Held") -> None:
        if held.repeated:
            self.write({**held.latest, "repeated": held.repeated})


class _Held(NamedTuple):
    repeated: int
    latest: EventDict
    until: float
    """By the monotonic clock."""

    def again(self, line: EventDict) -> "_Held":
        return _Held(self.repeated + 1, line, self.until)


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
