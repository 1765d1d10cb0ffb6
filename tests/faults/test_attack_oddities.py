"""Attack 19: headers, targets and hosts that no sender of ours would send."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.attacks import WEBHOOK, WRONG, post
from tests.faults.conftest import scaled
from tests.support.bridge_process import TOKEN, BridgeProcess
from tests.support.wire import Answer, Wire

EVIL = b"evil.example"
HOST = b"Host: example.com\r\n"


def raw(target: bytes, fields: bytes = HOST, body: bytes = b"{}", method: bytes = b"POST") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return method + b" " + target + b" HTTP/1.1\r\n" + fields + length + b"\r\n" + body


OURS = WEBHOOK.encode()
PATH = b"/webhooks/drip"
TOKEN_ = TOKEN.encode()

ODDITIES: dict[str, tuple[bytes, set[int]]] = {
    "another site's host": (raw(OURS, b"Host: " + EVIL + b"\r\n"), {200}),
    "another site's host, unknown page": (raw(b"/x/", b"Host: " + EVIL + b"\r\n"), {404}),
    "a host of oddities": (raw(OURS, b"Host: a b<>\"'/\\@:99999\r\n"), {200, 400}),
    "an empty host": (raw(OURS, b"Host:\r\n"), {200, 400}),
    "no host": (raw(OURS, b""), {200, 400}),
    "two hosts": (raw(OURS, HOST + b"Host: " + EVIL + b"\r\n"), {400}),
    "a forwarded host": (raw(OURS, HOST + b"X-Forwarded-Host: " + EVIL + b"\r\n"), {200}),
    "a target with a site": (raw(b"http://" + EVIL + OURS), {200, 400}),
    "a target with a site and a wrong token": (raw(b"http://" + EVIL + WRONG.encode()), {400, 401}),
    "a target of two slashes": (raw(b"//" + EVIL + OURS), {400, 404}),
    "an asterisk": (raw(b"*", method=b"OPTIONS"), {200, 400, 404, 405}),
    "an authority": (raw(b"evil.example:443", method=b"CONNECT"), {400, 404, 405}),
    "no slash": (raw(b"webhooks/drip?token=" + TOKEN_), {200, 400, 404}),
    "dots": (raw(b"/x/../webhooks/drip?token=" + TOKEN_), {200, 404}),
    "a slash at the end": (raw(PATH + b"/?token=" + TOKEN_), {200}),
    "an escaped path": (raw(b"/webhooks%2Fdrip?token=" + TOKEN_), {200, 404}),
    "a NUL in the path": (raw(PATH + b"%00?token=" + TOKEN_), {404}),
    "an escaped line break": (raw(b"/%0d%0aSet-Cookie:%20a=b"), {404}),
    "a path not in UTF-8": (raw(b"/%ff%fe"), {404}),
    "a raw byte in the path": (raw(b"/\xff"), {400, 404}),
    "a raw byte in the query": (raw(PATH + b"?token=\xff"), {400, 401}),
    "a very long path": (raw(b"/" + b"x" * 3_900), {404}),
    "a longer path": (raw(b"/" + b"x" * 9_000), {400}),
    "a very long query": (raw(OURS + b"&x=" + b"y" * 3_900), {200}),
    "a longer query": (raw(OURS + b"&x=" + b"y" * 9_000), {400}),
    "a thousand parameters": (raw(OURS + b"&a=1" * 900), {200}),
    "the token twice, right and wrong": (raw(OURS + b"&token=wrong"), {200}),
    "the token twice, wrong and right": (raw(PATH + b"?token=wrong&token=" + TOKEN_), {401}),
    "the token as a list": (raw(PATH + b"?token[]=" + TOKEN_), {401}),
    "the token in other letters": (raw(PATH + b"?TOKEN=" + TOKEN_), {401}),
    "the token after a semicolon": (raw(PATH + b"?a=b;token=" + TOKEN_), {401}),
    "the token in the fragment": (raw(PATH + b"#?token=" + TOKEN_), {400, 401}),
    "the token in the body": (raw(PATH, body=b"token=" + TOKEN_), {401}),
    "a token of a million letters": (
        raw(PATH, HOST + b"Authorization: Basic " + b"QUFB" * 2_000 + b"\r\n"),
        {400, 401},
    ),
    "a token with bad escapes": (raw(PATH + b"?token=%zz%f%"), {401}),
    "a token not in UTF-8": (raw(PATH + b"?token=%ff%fe%00"), {401}),
    "a token of surrogates": (raw(PATH + b"?token=%ed%a0%80"), {401}),
    "a token of other scripts": (raw(PATH + "?token=ключ".encode()), {400, 401}),
    "Basic without a colon": (raw(PATH, HOST + b"Authorization: Basic QUFB\r\n"), {401}),
    "Basic of bytes": (raw(PATH, HOST + b"Authorization: Basic //79/A==\r\n"), {401}),
    "Basic of nonsense": (raw(PATH, HOST + b"Authorization: Basic \xff\xfe=%\r\n"), {401}),
    "Digest": (raw(PATH, HOST + b'Authorization: Digest username="a", uri=\r\n'), {401}),
    "two authorizations": (
        raw(PATH, HOST + b"Authorization: a\r\nAuthorization: b\r\n"),
        {400, 401},
    ),
    "another method": (raw(OURS, method=b"DELETE"), {405}),
    "a made-up method": (raw(OURS, method=b"BREW"), {405}),
    "a method in small letters": (raw(OURS, method=b"post"), {400, 405}),
    "a method instead of another": (raw(OURS, HOST + b"X-HTTP-Method-Override: GET\r\n"), {200}),
    "a GET with a body": (raw(OURS, method=b"GET"), {405}),
    "another type": (raw(OURS, HOST + b"Content-Type: \xff/;;;charset=\x7fx\r\n"), {200, 400}),
    "a form of many parts": (raw(OURS, HOST + b"Content-Type: multipart/form-data\r\n"), {200}),
    "cookies of oddities": (raw(OURS, HOST + b'Cookie: a="\\777\\"; =; ;;\xff\r\n'), {200}),
    "a hundred and fifty fields": (raw(OURS, HOST + b"X: y\r\n" * 150), {400}),
    "a field of 9,000 letters": (raw(OURS, HOST + b"X: " + b"y" * 9_000 + b"\r\n"), {400}),
    "a field without a name": (raw(OURS, HOST + b": x\r\n"), {400}),
    "a field with a blank": (raw(OURS, HOST + b"X Y: z\r\n"), {400}),
    "a folded field": (raw(OURS, HOST + b"X: y\r\n z\r\n"), {400}),
    "a NUL in a field": (raw(OURS, HOST + b"X: \x00\r\n"), {400}),
    "a bare line feed": (raw(OURS, HOST + b"X: y\nContent-Length: 0\r\n"), {400}),
    "two lengths": (raw(OURS, HOST + b"Content-Length: 0\r\n"), {400}),
    "a length and chunks": (
        raw(OURS, HOST + b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        {400},
    ),
    "a coding nobody knows": (
        raw(OURS, HOST + b"Transfer-Encoding: evil\r\n", b"0\r\n\r\n"),
        {400},
    ),
    "a length below zero": (raw(OURS, HOST, b"").replace(b": 0", b": -1"), {400}),
    "a length with a sign": (raw(OURS, HOST).replace(b": 2", b": +2"), {400}),
    "another version": (raw(OURS).replace(b"HTTP/1.1", b"HTTP/9.9"), {400}),
    "HTTP/1.0": (raw(OURS).replace(b"HTTP/1.1", b"HTTP/1.0"), {200}),
    "an expectation nobody meets": (raw(OURS, HOST + b"Expect: 200-ok\r\n"), {400}),
    "an environment variable": (
        raw(OURS, HOST + b"Script_Name: /x\r\nSCRIPT-NAME: /y\r\n"),
        {200, 400},
    ),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n", {400}),
    "a bad chunk": (
        post(b"", WEBHOOK).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"zz\r\n",
        {400},
    ),
}


def ask(bridge: BridgeProcess, request: bytes) -> Answer:
    with Wire(bridge.port) as wire:
        wire.send(request)
        return wire.answer()


@pytest.mark.fault(19, "oddities of headers, targets and hosts")
def test_an_oddity_is_answered_by_the_rules(
    attacked: BridgeProcess, seen: Callable[[str], None]
) -> None:
    found: Counter[int] = Counter()
    for _ in range(scaled(1, 30)):
        for name, (request, expected) in ODDITIES.items():
            answer = ask(attacked, request)
            told = repr(answer)
            assert answer.status in expected, (name, answer)
            found[answer.status] += 1
            for never in ("Traceback", "File ", ".py", "evil.example", TOKEN, "Set-Cookie"):
                assert never.lower() not in told.lower(), (name, answer)
    log = attacked.log.read_text()
    assert "Traceback" not in log
    assert log.count("Booting worker") == 1
    kinds = ", ".join(f"{count} times {status}" for status, count in sorted(found.items()))
    seen(f"{len(ODDITIES)} oddities: {kinds}; no 5xx, no trace")
