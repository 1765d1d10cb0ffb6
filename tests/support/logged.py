"""What a test logged."""

import pytest
from structlog.types import EventDict


class Logged:
    """What one test logged: the own lines of every level, and the warnings of libraries."""

    def __init__(self, own: list[EventDict], others: pytest.LogCaptureFixture) -> None:
        self._own = own
        self._others = others

    @property
    def text(self) -> str:
        """A line each."""
        return "\n".join([*map(str, self._own), self._others.text])
