"""An exchange ends in time whatever the other side does, and only that exchange."""

import io
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from app.source.deadline import DeadlineSession
from tests.fake_segment import FakeSegment, Reply

FAILURES = (requests.RequestException, OSError)
DRIPPING = Reply(body=b"x" * 100, seconds_a_byte=0.03)


@pytest.fixture
def session() -> Iterator[DeadlineSession]:
    with DeadlineSession() as session:
        yield session


def post(session: DeadlineSession, url: str, body: bytes | io.BytesIO = b'{"batch": []}') -> None:
    headers = {"Authorization": "Basic a2V5Og=="}
    session.post(f"{url}/v1/batch", data=body, headers=headers, timeout=5).raise_for_status()


@contextmanager
def ended_early() -> Iterator[None]:
    """The exchange fails, long before the three seconds that the whole answer takes."""
    started = time.monotonic()
    with pytest.raises(FAILURES):
        yield
    assert time.monotonic() - started < 1.5


def without_certificates(side: int) -> ssl.SSLContext:
    """TLS with an anonymous key exchange: no key and no certificate to keep with the tests."""
    context = ssl.SSLContext(side)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


def test_an_answer_that_drips_is_cut(session: DeadlineSession, segment: FakeSegment) -> None:
    segment.behave = lambda _: DRIPPING
    with ended_early(), session.deadline(0.2):
        post(session, segment.url)


def test_an_answer_that_drips_through_tls_is_cut(session: DeadlineSession) -> None:
    pools = session.get_adapter("https://").poolmanager  # type: ignore[attr-defined]
    pools.connection_pool_kw["ssl_context"] = without_certificates(ssl.PROTOCOL_TLS_CLIENT)

    with FakeSegment(without_certificates(ssl.PROTOCOL_TLS_SERVER)) as segment:
        post(session, segment.url)
        segment.behave = lambda _: DRIPPING
        with ended_early(), session.deadline(0.2):
            post(session, segment.url)


def test_an_answer_that_drips_through_a_proxy_is_cut(
    session: DeadlineSession, segment: FakeSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", segment.url)
    segment.behave = lambda _: DRIPPING

    with ended_early(), session.deadline(0.2):
        post(session, "http://segment.example.com")
    assert segment.visits == ["POST http://segment.example.com/v1/batch"]


def test_an_answer_that_begins_after_the_deadline_is_cut(
    session: DeadlineSession, segment: FakeSegment
) -> None:
    class SlowUpload(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            time.sleep(0.15)
            return super().read(size)

    segment.behave = lambda _: DRIPPING
    with ended_early(), session.deadline(0.1):
        post(session, segment.url, SlowUpload(b'{"batch": []}'))


def test_a_deadline_that_was_met_does_not_cut_the_next_exchange(
    session: DeadlineSession, segment: FakeSegment
) -> None:
    with session.deadline(0.2):
        post(session, segment.url)

    segment.behave = lambda _: Reply(hang=0.4)
    with session.deadline(5):
        post(session, segment.url)


def test_a_deadline_that_was_missed_does_not_cut_the_next_exchange(
    session: DeadlineSession, segment: FakeSegment
) -> None:
    segment.behave = lambda _: DRIPPING
    with ended_early(), session.deadline(0.1):
        post(session, segment.url)

    segment.behave = lambda _: Reply(hang=0.2)
    with session.deadline(5):
        post(session, segment.url)


def test_no_redirect_is_followed(session: DeadlineSession, segment: FakeSegment) -> None:
    segment.behave = lambda _: Reply(302, headers={"Location": f"{segment.url}/welcome"})
    post(session, segment.url)
    assert segment.visits == ["POST /v1/batch"]
