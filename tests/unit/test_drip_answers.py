"""What Drip's answers about people who leave mean."""

import pytest

from app.clients.drip_api import Answer, read_faults
from app.destination import BatchRejected
from app.segment_to_drip.sending.answers import (
    NO_SUCH_PERSON,
    AskForAccounts,
    Call,
    Taken,
    understand,
)

NOT_FOUND = b'{"errors": [{"code": "not_found_error", "message": "The resource was not found"}]}'


@pytest.mark.parametrize("kind", ["unsubscribe", "delete"])
def test_a_person_is_gone_only_if_drip_itself_has_none(kind: str) -> None:
    def if_listed(body: bytes) -> object:
        asked = understand(Call(kind, None), Answer(404, body, read_faults(body)))
        assert isinstance(asked, AskForAccounts)
        return asked.if_listed

    assert if_listed(NOT_FOUND) == Taken(NO_SUCH_PERSON)
    assert isinstance(if_listed(b"<h1>Not found</h1>"), BatchRejected)  # of a proxy
