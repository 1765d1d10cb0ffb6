"""Where log lines end: written to stderr, and a warning that repeats only once a minute."""

import logging
import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any

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
        self._held: dict[Hashable, tuple[int, EventDict]] = {}

    def say(self, line: EventDict, wording: str) -> None:
        """Said at once, or held back and counted."""
        if line["level"] not in HELD:
            self.write(line)
            return
        key = (wording, *(str(line.get(field)) for field in SAME))
        with self._own_lock:
            if key in self._held:
                self._held[key] = (self._held[key][0] + 1, line)
            else:
                self._hold(key, line)
                self.write(line)

    def close(self) -> None:
        """At the end of the process: nothing is held back for ever."""
        with self._own_lock:
            for count, line in self._held.values():
                if count:
                    self.write({**line, "repeated": count})
            self._held.clear()
        super().close()

    def _hold(self, key: Hashable, line: EventDict) -> None:
        self._held[key] = (0, line)
        timer = threading.Timer(MINUTE, self._tell, [key])
        timer.daemon = True
        timer.start()

    def _tell(self, key: Hashable) -> None:
        with self._own_lock:
            count, line = self._held.pop(key, (0, {}))
            if count:
                self._hold(key, line)
                self.write({**line, "repeated": count})
