"""One batch over a real wire: what Segment gets, and what each of its answers means."""

import base64
import json
import logging
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from app.destination import BatchRejected, Forbidden, InvalidKey, RetryableError, SendError
from app.drip_to_segment import destination as module
from app.drip_to_segment.destination import SegmentDestination
from app.logs import configure_logs
from tests.support.fake_segment import FakeSegment, Reply
from tests.support.ports import free_port

KEY = "wk-7Jx0Qm"
KEY_IN_BASIC_AUTH = base64.b64encode(f"{KEY}:".encode()).decode()
PAYLOADS = [
    json.dumps({"type": "track", "messageId": f"drip-{n}", "anonymousId": "añá@example.com"})
    for n in range(2)
]


@pytest.fixture
def destination(segment: FakeSegment) -> SegmentDestination:
    return SegmentDestination(segment.url, KEY, {})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in earnest, with shorter times."""
    monkeypatch.setattr(module, "READ_TIMEOUT", 0.5)
    monkeypatch.setattr(module, "WHOLE_EXCHANGE", 1.0)


def error_of(destination: SegmentDestination) -> SendError:
    with pytest.raises(SendError) as caught:
        destination.send(KEY, PAYLOADS)
    return caught.value


def sent_at(body: bytes) -> datetime:
    return datetime.fromisoformat(json.loads(body)["sentAt"])


def test_the_request_is_the_one_that_segment_documents(
    destination: SegmentDestination, segment: FakeSegment
) -> None:
    before = datetime.now(UTC)
    destination.send(KEY, PAYLOADS)

    [batch] = segment.batches
    assert segment.visits == ["POST /v1/batch"]
    assert batch.headers["Authorization"] == f"Basic {KEY_IN_BASIC_AUTH}"
    assert batch.headers["Content-Type"] == "application/json"
    assert batch.headers["User-Agent"].startswith("analytics-python/")
    body = json.loads(batch.body)
    assert body.keys() == {"batch", "sentAt", "writeKey"}
    assert body["writeKey"] == KEY
    assert body["batch"] == [json.loads(payload) for payload in PAYLOADS]
    assert before <= sent_at(batch.body) <= datetime.now(UTC)


def test_the_calls_go_out_byte_for_byte_as_they_were_kept(
    destination: SegmentDestination, segment: FakeSegment
) -> None:
    destination.send(KEY, PAYLOADS)
    assert ", ".join(PAYLOADS).encode() in segment.batches[0].body


def test_an_envelope_that_the_sdk_makes_otherwise_is_not_sent(
    destination: SegmentDestination, segment: FakeSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.drip_to_segment.destination._NO_CALLS", '"batch":[]')
    assert isinstance(error_of(destination), RetryableError)
    assert segment.visits == []


def test_each_attempt_is_stamped_with_its_own_time(
    destination: SegmentDestination, segment: FakeSegment
) -> None:
    segment.behave = lambda _: Reply(503)
    error_of(destination)
    error_of(destination)

    first, second = (sent_at(batch.body) for batch in segment.batches)
    assert first < second


def test_a_netrc_file_does_not_replace_the_write_key(
    destination: SegmentDestination,
    segment: FakeSegment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "netrc").write_text("default login bo password of-another-service")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    destination.send(KEY, PAYLOADS)
    assert segment.batches[0].headers["Authorization"] == f"Basic {KEY_IN_BASIC_AUTH}"


@pytest.mark.parametrize(
    ("account", "key"), [("4417", "own"), ("5150", "default"), ("", "default")]
)
def test_an_account_without_a_key_of_its_own_gets_the_default(account: str, key: str) -> None:
    assert (
        SegmentDestination("http://127.0.0.1:9", "default", {"4417": "own"}).key_for(account) == key
    )


@pytest.mark.parametrize(("account", "key"), [("4417", "own"), ("5150", None), ("", None)])
def test_an_account_that_no_key_fits_gets_none(account: str, key: str | None) -> None:
    assert SegmentDestination("http://127.0.0.1:9", None, {"4417": "own"}).key_for(account) == key


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_sent(destination: SegmentDestination, segment: FakeSegment, status: int) -> None:
    segment.behave = lambda _: Reply(status, body=b"")
    destination.send(KEY, PAYLOADS)
    assert segment.message_ids() == ["drip-0", "drip-1"]


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (RetryableError, (408, 425, 429, 460, 500, 502, 503, 504, 507, 511, 520, 599)),
        (BatchRejected, (400, 413, 422)),
        (InvalidKey, (300, 304, 401, 404, 407, 501, 505)),
        (Forbidden, (402, 403, 405, 406, 409, 410, 418, 451)),
    ],
)
def test_every_other_status_shows_what_to_do(
    destination: SegmentDestination,
    segment: FakeSegment,
    kind: type[SendError],
    statuses: tuple[int, ...],
) -> None:
    for status in statuses:
        segment.behave = lambda _, status=status: Reply(status, body=b"")  # type: ignore[misc]
        error = error_of(destination)
        assert type(error) is kind, status
        assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize(
    ("status", "setting"), [(401, "SEGMENT_WRITE_KEY"), (403, "SEGMENT_WRITE_KEY")]
)
def test_a_refused_key_is_reported_with_the_setting_to_check(
    destination: SegmentDestination, segment: FakeSegment, status: int, setting: str
) -> None:
    segment.behave = lambda _: Reply(status)
    assert setting in str(error_of(destination))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["{url}/welcome", "/welcome", "http://127.0.0.1:9/", ""])
def test_no_redirect_is_followed(
    destination: SegmentDestination, segment: FakeSegment, status: int, to: str
) -> None:
    location = to.format(url=segment.url)
    segment.behave = lambda _: Reply(status, headers={"Location": location})

    error = error_of(destination)
    assert isinstance(error, InvalidKey)
    assert "SEGMENT_HOST" in str(error)
    assert segment.visits == ["POST /v1/batch"]


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-7"}, None),
        ({"Retry-After": "7.5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "Wed, 99 Foo 99999999999 99:99:99 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"X-RateLimit-Reset": "42"}, 42),
        ({"Retry-After": "7", "X-RateLimit-Reset": "42"}, 7),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "42"}, 42),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_segment_asks_for_is_read(
    destination: SegmentDestination,
    segment: FakeSegment,
    status: int,
    headers: Mapping[str, str],
    asked: float | None,
) -> None:
    segment.behave = lambda _: Reply(status, headers=headers)
    error = error_of(destination)
    assert isinstance(error, RetryableError)
    assert error.asked == asked


def test_a_date_to_wait_for_is_read(destination: SegmentDestination, segment: FakeSegment) -> None:
    in_90_seconds = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    segment.behave = lambda _: Reply(429, headers={"Retry-After": in_90_seconds})
    error = error_of(destination)
    assert isinstance(error, RetryableError)
    assert error.asked is not None
    assert 85 < error.asked <= 90


def test_a_wait_beyond_reason_is_a_long_wait(
    destination: SegmentDestination, segment: FakeSegment
) -> None:
    segment.behave = lambda _: Reply(429, headers={"Retry-After": "9" * 400})
    error = error_of(destination)
    assert isinstance(error, RetryableError)
    assert error.asked is not None
    assert error.asked >= 3600


LONG = b"x" * 300
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(raw=b""), id="closed before an answer"),
        pytest.param(Reply(raw=b"", reset=True), id="reset before an answer"),
        pytest.param(Reply(raw=b"HTTP/1.1 200 OK\r\nCont", reset=True), id="reset in its headers"),
        pytest.param(Reply(cut_after=5, reset=True), id="reset in its body"),
        pytest.param(Reply(cut_after=5), id="body cut short"),
        pytest.param(Reply(raw=CHUNKED + b"5\r\nab"), id="chunk cut short"),
        pytest.param(Reply(raw=CHUNKED + b"what?\r\n"), id="garbled chunk"),
        pytest.param(Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n"), id="another protocol"),
        pytest.param(Reply(raw=b"<html>Welcome</html>"), id="no headers"),
        pytest.param(Reply(raw=b"\x16\x03\x01\x00\xff" * 50), id="bytes"),
        pytest.param(Reply(raw=b"HTTP/1.1 OK\r\n\r\n"), id="no status"),
        pytest.param(Reply(raw=b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500), id="too many headers"),
        pytest.param(Reply(headers={"Content-Encoding": "gzip"}), id="not what it was packed as"),
        pytest.param(Reply(503, body=b"[" * 100_000), id="an error nested without end"),
        pytest.param(Reply(503, body=b"\xff\xfe[1]"), id="an error in no encoding"),
        pytest.param(Reply(hang=3), id="hang"),
        pytest.param(Reply(body=LONG, seconds_a_byte=0.01), id="dripping body"),
        pytest.param(
            Reply(body=LONG, seconds_a_byte=0.01, headers={"Connection": "close"}),
            id="dripping body, then closed",
        ),
        pytest.param(
            Reply(raw=b"HTTP/1.1 200 OK\r\nA: " + LONG, seconds_a_byte=0.01),
            id="dripping headers",
        ),
        pytest.param(
            Reply(raw=b"HTTP/1.1 200 OK\r\nConnection: close\r\nA: " + LONG, seconds_a_byte=0.005),
            id="dripping headers, then closed",
        ),
        pytest.param(
            Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + LONG, seconds_a_byte=0.01),
            id="dripping body of no stated length",
        ),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_an_answer_that_is_not_whole_is_retryable(
    destination: SegmentDestination, segment: FakeSegment, reply: Reply
) -> None:
    segment.behave = lambda _: reply
    started = time.monotonic()
    assert type(error_of(destination)) is RetryableError
    assert time.monotonic() - started < 1.8

    segment.behave = lambda _: Reply()
    segment.calls.clear()
    destination.send(KEY, PAYLOADS)
    assert segment.message_ids() == ["drip-0", "drip-1"]


def test_a_silent_answer_ends_before_the_whole_exchange(
    destination: SegmentDestination, segment: FakeSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_TIMEOUT", 0.1)
    segment.behave = lambda _: Reply(hang=3)
    started = time.monotonic()
    assert type(error_of(destination)) is RetryableError
    assert time.monotonic() - started < 2.5


def test_a_refused_connection_is_tried_again() -> None:
    port = free_port()
    assert type(error_of(SegmentDestination(f"http://127.0.0.1:{port}", KEY, {}))) is RetryableError


@pytest.mark.parametrize("kind", ["error in JSON", "text", "our own request, quoted"])
@pytest.mark.parametrize("status", [302, 400, 401, 503])
def test_segments_words_are_kept_without_the_write_key(
    destination: SegmentDestination, segment: FakeSegment, status: int, kind: str
) -> None:
    # in the text, the cut at 500 characters falls inside the key
    bodies = {
        "error in JSON": json.dumps({"code": "no_source", "message": f"none with key {KEY}"}),
        "text": "no source " * 48 + f"key {KEY}, " * 9,
        "our own request, quoted": f"Authorization: Basic {KEY_IN_BASIC_AUTH}",
    }
    segment.behave = lambda _: Reply(status, body=bodies[kind].encode())

    error = error_of(destination)
    assert KEY not in str(error) + error.words
    assert KEY[:4] not in error.words
    assert KEY_IN_BASIC_AUTH not in error.words
    assert len(error.words) <= 500


def test_segments_own_words_are_kept(destination: SegmentDestination, segment: FakeSegment) -> None:
    segment.behave = lambda _: Reply(400, body=b'{"code": "invalid", "message": "no event name"}')
    assert error_of(destination).words == "invalid: no event name"

    segment.behave = lambda _: Reply(400, body=b"Bad Request")
    assert error_of(destination).words == "Bad Request"


@pytest.fixture
def every_line(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All that the bridge's loggers let through where the root logger is at DEBUG."""
    configure_logs("debug", "logfmt")
    caplog.set_level(logging.DEBUG)
    sdk = logging.getLogger("segment")
    sdk.addHandler(caplog.handler)
    yield caplog
    sdk.removeHandler(caplog.handler)


def test_no_log_line_holds_a_write_key_or_an_event(
    destination: SegmentDestination, segment: FakeSegment, every_line: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("somebody else's").debug("seen")
    segment.behave = lambda batch: Reply(body=batch.body)
    destination.send(KEY, PAYLOADS)
    for status in (302, 400, 401, 429, 503):
        segment.behave = lambda batch, status=status: Reply(  # type: ignore[misc]
            status, body=batch.body, headers={"Retry-After": f"soon {KEY}"}
        )
        error_of(destination)
    bad_header = f"HTTP/1.1 503 Busy\r\n{KEY}\r\nContent-Length: 0\r\n\r\n".encode()
    for reply in (Reply(raw=f"{KEY}\r\n".encode()), Reply(raw=bad_header)):
        segment.behave = lambda _, reply=reply: reply  # type: ignore[misc]
        error_of(destination)

    assert "seen" in every_line.text
    assert KEY not in every_line.text
    assert KEY_IN_BASIC_AUTH not in every_line.text
    assert "example.com" not in every_line.text
    assert "drip-0" not in every_line.text
