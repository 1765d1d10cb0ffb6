"""An error's own text may be logged: what it carries beside it may not."""

import pytest

from app.errors import BatchRefused, KeyRefused, NotAnEmailEvent, TryAgain, Unreadable

SECRET = "ana@example.com"


@pytest.mark.parametrize(
    "error",
    [
        TryAgain("HTTP 503", f"bad: {SECRET}"),
        TryAgain("HTTP 429", words=SECRET, asked=30.0),
        BatchRefused("HTTP 400", SECRET),
        KeyRefused("HTTP 401", SECRET),
        NotAnEmailEvent(SECRET),
        Unreadable({"data.subscriber": [SECRET]}),
    ],
    ids=repr,
)
def test_what_is_logged_of_an_error_does_not_say_what_it_carries(error: Exception) -> None:
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
