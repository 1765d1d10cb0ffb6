"""Who is refused by the head of a request, and that the webhook would have refused the same."""

import json

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from app.request_end import Verdict
from app.source.auth import is_known, offered_token
from app.source.gate import head_to_verdict
from tests.test_auth import OTHER, TOKEN, basic, request

TOKENS = (TOKEN, OTHER)
LINE = f"POST /webhooks/drip?token={TOKEN} HTTP/1.1"


def verdict(line: str, *fields: str) -> Verdict:
    head = "".join(f"{text}\r\n" for text in (line, "Host: example.com", *fields))
    return head_to_verdict(head.encode("latin-1"), TOKENS)


def status(line: str, *fields: str) -> int | None:
    refusal = verdict(line, *fields).refusal
    return int(refusal.split()[1]) if refusal else None


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (LINE, []),
        (LINE.replace(TOKEN, OTHER), []),
        (LINE, ["Transfer-Encoding: chunked"]),
        (LINE.replace("?", "?a=b&"), []),
        ("POST /webhooks/drip HTTP/1.1", [f"Authorization: {basic(f'drip:{TOKEN}'.encode())}"]),
        ("POST /webhooks/drip HTTP/1.0", [f"AUTHORIZATION:\t{basic(f':{TOKEN}'.encode())} "]),
    ],
)
def test_a_caller_of_the_webhook_with_a_token_takes_turns(line: str, fields: list[str]) -> None:
    assert verdict(line, *fields) == Verdict(takes_turns=True)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        # not plain: the webhook itself decides
        ("POST /webhooks/drip?token=wrong#x HTTP/1.1", []),
        ("POST http://example.com/webhooks/drip?token=wrong HTTP/1.1", []),
        ("POST /webhooks/drip?token=wrong HTTP/1.1", ["Authorization: a", "Authorization: b"]),
        ("POST /webhooks/drip/?token=wrong HTTP/1.1", []),
        ("GET /webhooks/drip HTTP/1.1", []),
        ("GET / HTTP/1.1", []),
        ("POST /login HTTP/1.1", ["Content-Length: 5"]),
        ("POST /webhooks/drip?token=é HTTP/1.1", []),
        ("nonsense", []),
        ("POST /webhooks/drip HTTP/1.1x", []),
    ],
)
def test_a_caller_who_may_have_one_or_has_another_errand_may_go_on_in_a_thread(
    line: str, fields: list[str]
) -> None:
    assert verdict(line, *fields) == Verdict()


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("POST /webhooks/drip HTTP/1.1", []),
        ("POST /webhooks/drip? HTTP/1.1", []),
        (f"POST /webhooks/drip?tok={TOKEN} HTTP/1.1", []),
        (f"POST /webhooks/drip?token={TOKEN}x HTTP/1.1", ["Transfer-Encoding: chunked"]),
        ("POST /webhooks/drip?token=%FF%00 HTTP/1.1", []),
        ("POST /webhooks/drip HTTP/1.1", ["Authorization: Basic é"]),
        ("POST /webhooks/drip HTTP/1.1", [f"Authorization: {basic(b':wrong')}"]),
        ("POST /webhooks/drip HTTP/1.1", [f"Authorization: Bearer {TOKEN}"]),
        ("POST /webhooks/drip HTTP/1.1", [f"X-Authorization: {basic(f':{TOKEN}'.encode())}"]),
    ],
)
def test_a_caller_of_the_webhook_without_a_token_is_refused(line: str, fields: list[str]) -> None:
    assert status(line, *fields) == 401


@pytest.mark.parametrize(
    "path", ["/", "/login", "/webhooks/drip/", "//webhooks/drip?token=" + TOKEN]
)
def test_chunks_are_for_the_webhook_alone(path: str) -> None:
    assert status(f"POST {path} HTTP/1.1", "transfer-encoding: chunked") == 411


def test_the_answer_says_the_same_as_the_webhooks_own(client: FlaskClient) -> None:
    refusal = head_to_verdict(b"POST /webhooks/drip HTTP/1.1\r\n", TOKENS).refusal or b""
    head, _, body = refusal.partition(b"\r\n\r\n")
    own = client.post("/webhooks/drip")
    assert json.loads(body) == own.json
    fields = dict(line.split(": ") for line in head.decode().split("\r\n")[1:])
    assert fields.pop("Connection") == "close"
    assert int(fields.pop("Content-Length")) == len(body)
    assert fields.items() <= dict(own.headers).items()


QUERIES = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), max_size=20
) | st.sampled_from(
    [
        f"token={TOKEN}",
        f"token={TOKEN}&token=x",
        f"token=x&token={TOKEN}",
        f"token=%{ord(TOKEN[0]):x}{TOKEN[1:]}",
        f"token=+{TOKEN}",
        f"a;token={TOKEN}",
    ]
)
CREDENTIALS = st.none() | st.binary(max_size=12).map(basic) | st.just(basic(f":{TOKEN}".encode()))


@given(QUERIES, CREDENTIALS)
def test_who_takes_turns_is_whom_the_webhook_lets_in(query: str, credentials: str | None) -> None:
    fields = [] if credentials is None else [f"Authorization: {credentials}"]
    found = verdict(f"POST /webhooks/drip?{query} HTTP/1.1", *fields)
    if found != Verdict():
        is_let_in = is_known(offered_token(request(query, credentials)), TOKENS)
        assert found.takes_turns == is_let_in == (not found.refusal)


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_no_head_is_a_fault_of_the_gate(query: bytes, credentials: bytes) -> None:
    line = b"POST /webhooks/drip?token=%s HTTP/1.1\r\n" % query
    for prefix in (b"", b"Basic ", b"Digest ", b"Bearer "):
        head_to_verdict(line + b"Authorization: %s%s\r\n" % (prefix, credentials), TOKENS)
        head_to_verdict(b"POST /webhooks/drip HTTP/1.1\r\nAuthorization: " + credentials, TOKENS)
