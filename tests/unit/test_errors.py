"""An error's own text may be logged: what it carries beside it may not."""

import pytest

from app.destination import BatchRejected, InvalidKey, RetryableError
from app.errors import InvalidPayload, UnsupportedEvent

SECRET = "ana@example.com"


@pytest.mark.parametrize(
    "error",
    [
        RetryableError("HTTP 503", f"bad: {SECRET}"),
        RetryableError("HTTP 429", words=SECRET, asked=30.0),
        BatchRejected("HTTP 400", SECRET),
        InvalidKey("HTTP 401", SECRET),
        UnsupportedEvent(SECRET),
        InvalidPayload({"data.subscriber": [SECRET]}),
    ],
    ids=repr,
)
def test_the_log_of_an_error_has_nothing_that_it_carries(error: Exception) -> None:
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
