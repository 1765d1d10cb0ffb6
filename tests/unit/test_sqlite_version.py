"""Which versions of SQLite can corrupt their file."""

import pytest

from app.database.engine import resets_log_wrongly


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ((3, 6, 23), False),  # no WAL yet
        ((3, 7, 0), True),
        ((3, 40, 1), True),  # Debian 12
        ((3, 43, 9), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 44, 7), False),
        ((3, 45, 0), True),
        ((3, 45, 9), True),
        ((3, 49, 7), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 50, 12), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_the_versions_with_the_bug_are_known(version: tuple[int, int, int], has_it: bool) -> None:
    assert resets_log_wrongly(version) is has_it
