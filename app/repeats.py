"""A warning that repeats is said once, and then once a minute with how often."""

import copy
import logging
import threading
from collections.abc import Hashable, Mapping
from typing import Any

MINUTE = 60.0

SAME = ("event", "reason", "error", "account")
"""The fields by which two lines say the same; the others tell of one case of it."""


class OnceAMinute(logging.StreamHandler[Any]):
    """Holds back what is like a line of the last minute, and tells at the minute's end of how many
    it was: the latest of them, with the field `repeated`."""

    def __init__(self) -> None:
        super().__init__()
        self._own_lock = self.lock or threading.RLock()
        self._held: dict[Hashable, tuple[int, logging.LogRecord]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Called under the handler's own lock."""
        if record.levelno < logging.WARNING:
            super().emit(record)
            return
        key = (record.name, *_sameness(record))
        if key in self._held:
            self._held[key] = (self._held[key][0] + 1, record)
        else:
            self._hold(key, record)
            super().emit(record)

    def close(self) -> None:
        """At the end of the process: nothing is held back for ever."""
        with self._own_lock:
            for count, record in self._held.values():
                if count:
                    super().emit(_with_count(record, count))
            self._held.clear()
        super().close()

    def _hold(self, key: Hashable, record: logging.LogRecord) -> None:
        self._held[key] = (0, record)
        timer = threading.Timer(MINUTE, self._tell, [key])
        timer.daemon = True
        timer.start()

    def _tell(self, key: Hashable) -> None:
        with self._own_lock:
            count, record = self._held.pop(key, (0, None))
            if count and record:
                self._hold(key, record)
                super().emit(_with_count(record, count))


def _sameness(record: logging.LogRecord) -> tuple[str, ...]:
    """structlog hands its fields over as the message; the lines of others are a text to fill in."""
    if isinstance(record.msg, Mapping):
        return tuple(str(record.msg.get(field)) for field in SAME)
    return (str(record.msg),)


def _with_count(record: logging.LogRecord, count: int) -> logging.LogRecord:
    told = copy.copy(record)
    if isinstance(record.msg, Mapping):
        told.msg = {**record.msg, "repeated": count}
    else:
        told.msg, told.args = f"{record.getMessage()} (repeated {count} times)", ()
    return told
