"""An exchange ends in time whatever the other side does, and only that exchange."""

import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from requests import Request

from app.clients import session as module
from app.clients.session import DeadlineSession
from tests.support.fake_segment import FakeSegment, Reply

FAILURES = (requests.RequestException, OSError)
BASIC = {"Authorization": "Basic a2V5Og=="}
DRIPPING = Reply(body=b"x" * 100, seconds_a_byte=0.03)


@pytest.fixture
def session() -> Iterator[DeadlineSession]:
    with DeadlineSession() as session:
        yield session


def exchange(
    session: DeadlineSession, url: str, body: bytes | io.BytesIO = b'{"batch": []}'
) -> int:
    """The status of the answer."""
    return session.post(f"{url}/v1/batch", data=body, headers=BASIC, timeout=5).status_code


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
        exchange(session, segment.url)


def test_an_answer_that_drips_through_tls_is_cut(session: DeadlineSession) -> None:
    pools = session.get_adapter("https://").poolmanager  # type: ignore[attr-defined]
    pools.connection_pool_kw["ssl_context"] = without_certificates(ssl.PROTOCOL_TLS_CLIENT)

    with FakeSegment(without_certificates(ssl.PROTOCOL_TLS_SERVER)) as segment:
        exchange(session, segment.url)
        segment.behave = lambda _: DRIPPING
        with ended_early(), session.deadline(0.2):
            exchange(session, segment.url)


def test_an_answer_that_drips_through_a_proxy_is_cut(
    session: DeadlineSession, segment: FakeSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", segment.url)
    segment.behave = lambda _: DRIPPING

    with ended_early(), session.deadline(0.2):
        exchange(session, "http://segment.example.com")
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
        exchange(session, segment.url, SlowUpload(b'{"batch": []}'))


def test_a_proxy_that_drips_before_it_lets_us_through_is_cut(
    session: DeadlineSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def drip() -> None:
            connection, _ = proxy.accept()
            with connection, suppress(OSError):
                for byte in b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100:
                    connection.send(bytes([byte]))
                    time.sleep(0.03)

        threading.Thread(target=drip, daemon=True).start()
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with ended_early(), session.deadline(0.2):
            exchange(session, "https://segment.example.com")


def test_the_watcher_rests_and_wakes_for_the_next_exchange(
    session: DeadlineSession, segment: FakeSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST_AFTER", 0.05)
    with session.deadline(0.2):
        exchange(session, segment.url)
    time.sleep(0.3)
    segment.behave = lambda _: DRIPPING
    with ended_early(), session.deadline(0.2):
        exchange(session, segment.url)


def test_nothing_is_posted_after_the_deadline_though_nobody_looked(
    session: DeadlineSession, segment: FakeSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a process that was stopped and goes on."""
    monkeypatch.setattr(module, "LOOK_EVERY", 5.0)
    with ended_early(), session.deadline(-1.0):
        exchange(session, segment.url)
    assert segment.batches == []


def test_a_met_deadline_does_not_cut_the_next_exchange(
    session: DeadlineSession, segment: FakeSegment
) -> None:
    with session.deadline(0.2):
        exchange(session, segment.url)

    segment.behave = lambda _: Reply(hang=0.4)
    with session.deadline(5):
        assert exchange(session, segment.url) == 200


def test_a_missed_deadline_does_not_cut_the_next_exchange(
    session: DeadlineSession, segment: FakeSegment
) -> None:
    segment.behave = lambda _: DRIPPING
    with ended_early(), session.deadline(0.1):
        exchange(session, segment.url)

    segment.behave = lambda _: Reply(hang=0.2)
    with session.deadline(5):
        assert exchange(session, segment.url) == 200


def test_no_redirect_is_followed(session: DeadlineSession, segment: FakeSegment) -> None:
    segment.behave = lambda _: Reply(302, headers={"Location": f"{segment.url}/welcome"})
    exchange(session, segment.url)
    assert segment.visits == ["POST /v1/batch"]


def test_an_answer_without_end_is_read_at_its_beginning_only(
    session: DeadlineSession, segment: FakeSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    segment.behave = lambda _: Reply(400, body=b"x" * 5_000_000)
    assert session.post(segment.url, headers=BASIC, data=b'{"batch": []}').content == b"x" * 100_000
    segment.behave = lambda _: Reply(400, body=b"y" * 100_000)
    assert session.post(segment.url, headers=BASIC, data=b'{"batch": []}').content == b"y" * 100_000


@pytest.mark.parametrize(("userinfo", "sent"), [("", None), ("bo:own@", "Basic Ym86b3du")])
def test_no_password_goes_out_but_that_of_the_url(
    session: DeadlineSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    userinfo: str,
    sent: str | None,
) -> None:
    (tmp_path / "netrc").write_text("default login bo password of-another-service")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    request = Request("POST", f"https://{userinfo}chat.example.com/hook")
    assert session.prepare_request(request).headers.get("Authorization") == sent


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        ((), True),
        (("SSL_CERT_FILE",), "SSL_CERT_FILE"),
        (("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), "REQUESTS_CA_BUNDLE"),
    ],
)
def test_the_certificates_of_the_environment_are_taken(
    session: DeadlineSession,
    monkeypatch: pytest.MonkeyPatch,
    names: Sequence[str],
    taken: str | bool,
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in names:
        monkeypatch.setenv(name, name)
    how = session.merge_environment_settings("https://api.segment.io", {}, None, None, None)
    assert how["verify"] == taken
