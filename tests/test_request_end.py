"""A request is whole at its last byte, however it is cut; and then gunicorn asks for no more."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import strategies as st

from app.request_end import LONGEST_CHUNK_LINE, ArrivingRequest, Verdict

HEAD = b"POST /webhooks/drip?token=t HTTP/1.1\r\nHost: example.com\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def welcome(_: bytes) -> Verdict:
    """No head is refused."""
    return Verdict()


FIELDS = [b"Accept: */*\r\n", b"x-content-length: 7\r\n", b"X: Transfer-Encoding: y\r\n"]
LENGTH_NAMES = [b"Content-Length: ", b"content-length:", b"CONTENT-LENGTH:\t "]
CODINGS = [b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:CHUNKED\r\n"]
EXTENSIONS = [b"", b";a", b";a=b", b' ; a="b;0"', b";0"]
TRAILERS = [b"", b"X-Sum: 0\r\n", b"A: b\r\nC: \r\n"]


@st.composite
def lengths(draw: st.DrawFn, form: str, length: int) -> bytes:
    """A number, maybe with more zeros in front than any counter has digits."""
    return b"0" * draw(st.sampled_from([0, 1, 2, 15, 16, 17, 40])) + f"{length:{form}}".encode()


@st.composite
def in_chunks(draw: st.DrawFn, body: bytes) -> bytes:
    cuts = sorted(draw(st.sets(st.integers(1, max(len(body) - 1, 1)), max_size=4)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    sent = b""
    for piece in filter(None, pieces):
        size = draw(lengths(draw(st.sampled_from(["x", "X"])), len(piece)))
        sent += size + draw(st.sampled_from(EXTENSIONS)) + b"\r\n" + piece + b"\r\n"
    last = draw(lengths("x", 0)) + draw(st.sampled_from(EXTENSIONS))
    return sent + last + b"\r\n" + draw(st.sampled_from(TRAILERS)) + b"\r\n"


BODIES = st.binary(max_size=60) | st.sampled_from([b"\r\n\r\n" * 3, b"0\r\n\r\n", HEAD + b"\r\n"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Valid, with a body of a known length, in chunks, or without one."""
    head = HEAD + b"".join(draw(st.lists(st.sampled_from(FIELDS), max_size=2)))
    body = draw(BODIES)
    match draw(st.sampled_from(["none", "length", "chunks"])):
        case "length":
            name = draw(st.sampled_from(LENGTH_NAMES))
            return head + name + draw(lengths("d", len(body))) + b"\r\n\r\n" + body
        case "chunks":
            return head + draw(st.sampled_from(CODINGS)) + b"\r\n" + draw(in_chunks(body))
    return head + b"\r\n"


@st.composite
def in_pieces(draw: st.DrawFn, content: bytes) -> list[bytes]:
    cuts = sorted(draw(st.sets(st.integers(1, max(len(content) - 1, 1)), max_size=12)))
    return [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]


def whole_after(pieces: list[bytes]) -> int | None:
    """How many bytes had come when it was first said to be whole."""
    request, come = ArrivingRequest(welcome), 0
    for piece in pieces:
        come += len(piece)
        if request.feed(piece):
            return come
    return None


@given(requests(), st.data())
def test_a_request_is_whole_at_its_last_byte_however_it_is_cut(
    request: bytes, data: st.DataObject
) -> None:
    assert whole_after(data.draw(in_pieces(request))) == len(request)


@given(requests())
def test_no_beginning_of_a_request_is_whole(request: bytes) -> None:
    assert whole_after([bytes([byte]) for byte in request]) == len(request)


@given(requests(), requests(), st.data())
def test_a_request_does_not_wait_for_the_one_behind_it(
    first: bytes, second: bytes, data: st.DataObject
) -> None:
    pieces = data.draw(in_pieces(first + second))
    whole = whole_after(pieces)
    assert whole is not None
    assert whole >= len(first)
    assert whole - len(first) < max(map(len, pieces))
    rest = (first + second)[len(first) :]
    assert whole_after([rest]) == len(rest)


@pytest.mark.parametrize("field", [b"Expect: 100-continue\r\n", b"expect:100-Continue \r\n"])
def test_a_sender_that_waits_to_be_told_to_go_on_is_noticed(field: bytes) -> None:
    request = ArrivingRequest(welcome)
    said = [
        (request.feed(piece), request.expects_continue)
        for piece in (HEAD + field, b"Content-Length: 2\r\n\r\n", b"{}")
    ]
    assert said == [(False, False), (False, True), (True, True)]


def test_a_field_of_the_body_is_no_expectation() -> None:
    request = ArrivingRequest(welcome)
    body = b"\r\nExpect: 100-continue\r\n"
    assert request.feed(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert not request.expects_continue


@pytest.mark.parametrize("line", [b"zz\r\n", b"\r\n", b"-1\r\n", b"1" * LONGEST_CHUNK_LINE])
def test_a_chunk_that_gunicorn_refuses_is_left_to_it_at_once(line: bytes) -> None:
    assert whole_after([CHUNKED, line]) == len(CHUNKED + line)


@pytest.mark.parametrize("digits", [b"f" * 16, b"7" + b"f" * 15, b"1" + b"0" * 8000])
def test_a_chunk_beyond_counting_is_waited_for_and_raises_nothing(digits: bytes) -> None:
    assert whole_after([CHUNKED, digits + b"\r\n", b"{}\r\n", b"0\r\n\r\n"]) is None


@pytest.mark.parametrize("digits", [b"9" * 18, b"1" + b"0" * 20, b"9" * 5000])
def test_a_length_beyond_counting_is_waited_for_and_raises_nothing(digits: bytes) -> None:
    assert whole_after([HEAD + b"Content-Length: " + digits + b"\r\n\r\n", b"{}"]) is None


ODD_PARTS = st.sampled_from(
    [
        *(
            HEAD,
            CHUNKED,
            b"\r\n",
            b"\r\n\r\n",
            b"\r",
            b"\n",
            b"\n\n",
            b" ",
            b"\t",
            b"\x00",
            b"\xff",
        ),
        *(b"Content-Length:", b"Content-Length: 5\r\n", b"Content-Length : 5\r\n", b"+5", b"-1"),
        *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n"),
        *(b"Transfer-Encoding: identity\r\n", b"Expect: 100-continue\r\n", b"GET / HTTP/1.0\r\n"),
        *(b"0", b"0\r\n", b"1\r\na\r\n", b"00000000000000002\r\nab\r\n", b"0x1\r\n", b"1_0\r\n"),
        *(b"ffffffffffffffff\r\n", b"5;a=b\r\nabcde\r\n", b"2 \r\nab\r\n", b"a:b\r\n"),
        *(b"Content-Length: 00000000000000000002\r\n", b"{}", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ]
)
ODD = st.lists(ODD_PARTS | st.binary(max_size=4), max_size=12).map(b"".join)


class WouldWait(Exception):
    """A thread would now stand still until the sender goes on."""


def parse(received: bytes) -> None:
    """What a thread does with it."""

    def source() -> Iterator[bytes]:
        yield received
        raise WouldWait

    parser = RequestParser(Config(), source(), ("127.0.0.1", 1))
    with suppress(ParseException, NoMoreData, StopIteration):
        next(parser).body.read()


@given(ODD, st.data())
def test_whatever_comes_raises_nothing_and_once_whole_lets_no_thread_wait(
    content: bytes, data: st.DataObject
) -> None:
    request = ArrivingRequest(welcome)
    if any(request.feed(piece) for piece in data.draw(in_pieces(content))):
        parse(bytes(request.received))


@given(requests())
def test_a_whole_request_lets_no_thread_wait(request: bytes) -> None:
    parse(request)
