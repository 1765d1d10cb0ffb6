"""Logging handlers that write each line without blocking, and hold back repeated warnings."""

import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from structlog.types import EventDict

from app.log_output import Output, output_of, unblock_stderr

MINUTE = 60.0
"""Seconds for which repeats of a line are held back."""

DEDUPLICATED_LEVELS = ("warning", "error", "critical")

KEY_FIELDS = ("logger", "reason", "error", "account", "alert")
"""Lines with the same message and the same values of these fields are repeats. Their other fields,
such as the number of events, may differ."""

Processor = Callable[[Any, str, EventDict], EventDict]
Renderer = Callable[[Any, str, EventDict], str]
"""structlog's two kinds of processors."""


class LineHandler(logging.StreamHandler[Any]):
    """Write the bridge's own lines as they are, and add the same fields to those of libraries."""

    def __init__(self, processors: Sequence[Processor], renderer: Renderer) -> None:
        super().__init__(unblock_stderr())
        self._own_lock = self.lock or threading.RLock()
        self._processors = processors
        self._renderer = renderer

    def emit(self, record: logging.LogRecord) -> None:
        """Write a library's log record."""
        # a record that cannot be formatted is dropped: an error message would quote its values
        with suppress(Exception):
            line: EventDict = {"event": record.getMessage(), "exc_info": record.exc_info}
            self.emit_line(self._process(line, record.name, record.levelname), str(record.msg))

    def emit_line(self, line: EventDict, template: str) -> None:  # noqa: ARG002 - for subclasses
        """Write a line, from any thread. `template` is its message before values are filled in."""
        self.write(line)

    def write(self, line: EventDict) -> None:
        """Write a line now. An error here is ignored: it must not cost the webhook being logged."""
        with self._own_lock, suppress(Exception):
            text = self._render(line)
            if output := output_of(self.stream):
                if output.lost_lines:
                    self._report_lost(output)
                output.put(text.encode(errors="backslashreplace"))
            else:
                self.stream.write(text)
                self.stream.flush()

    def _report_lost(self, output: Output) -> None:
        """Write how many lines were dropped, once stderr is read again."""
        line = {"event": "log lines lost: nobody read them", "lost": output.lost_lines}
        text = self._render(self._process({**line, "exc_info": None}, __name__, "WARNING"))
        output.report_lost(text.encode())

    def _process(self, line: EventDict, logger: str, level: str) -> EventDict:
        for process in self._processors:
            line = process(logging.getLogger(logger), level.lower(), line)
        return line

    def _render(self, line: EventDict) -> str:
        return self._renderer(None, "", line) + "\n"


class DeduplicatingHandler(LineHandler):
    """Write a warning once, then at most once a minute while it repeats.

    Repeats within a minute are counted. At the minute's end the latest of them is written, with
    their number in the field `repeated`.
    """

    def __init__(self, processors: Sequence[Processor], renderer: Renderer) -> None:
        super().__init__(processors, renderer)
        self._held: dict[Hashable, _Repeats] = {}
        """In the order in which their minutes end."""
        self._reporter: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._held.clear)  # the parent writes them

    def emit_line(self, line: EventDict, template: str) -> None:
        """Write the line, or count it if it repeats one of the last minute."""
        if line["level"] not in DEDUPLICATED_LEVELS:
            self.write(line)
            return
        with self._own_lock, suppress(Exception):
            key = (template, *(str(line.get(field)) for field in KEY_FIELDS))
            self._report_ended()
            if repeats := self._held.get(key):
                self._held[key] = repeats.add(line)
            else:
                self.write(line)
                self._hold(key, line)

    def close(self) -> None:
        """Write all that is still held back, at the end of the process."""
        with self._own_lock:
            for repeats in self._held.values():
                self._report(repeats)
            self._held.clear()
        super().close()

    def _hold(self, key: Hashable, line: EventDict) -> None:
        self._held[key] = _Repeats(0, line, time.monotonic() + MINUTE)
        # after a fork, the child's copy of the thread is not alive
        if self._reporter is None or not self._reporter.is_alive():
            self._reporter = threading.Thread(target=self._report_on_time, name="log", daemon=True)
            # if it cannot be started, the next line reports the repeats
            self._reporter.start()

    def _report_on_time(self) -> None:
        """Report repeats as their minutes end. One thread does it, until nothing is held back."""
        while True:
            with self._own_lock:
                self._report_ended()
                if not self._held:
                    self._reporter = None
                    return
                first = next(iter(self._held.values())).until
            time.sleep(max(0.0, first - time.monotonic()))

    def _report_ended(self) -> None:
        """Report the repeats whose minute is over."""
        now = time.monotonic()
        while self._held:
            key, repeats = next(iter(self._held.items()))
            if repeats.until > now:
                return
            del self._held[key]
            if repeats.repeated:
                self._held[key] = _Repeats(0, repeats.latest, now + MINUTE)
                self._report(repeats)

    def _report(self, repeats: "_Repeats") -> None:
        if repeats.repeated:
            self.write({**repeats.latest, "repeated": repeats.repeated})


class _Repeats(NamedTuple):
    repeated: int
    latest: EventDict
    until: float
    """By the monotonic clock."""

    def add(self, line: EventDict) -> "_Repeats":
        return _Repeats(self.repeated + 1, line, self.until)
