"""Segment's signature: over the bytes that came, or over the first event of a batch."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from app.web.auth import MOST_SIGNED, signature_from, signed_by
from tests.support.segment_webhooks import SECRET, segment_webhooks
from tests.support.segment_webhooks import sign as sign_bytes

OTHER = "another-of-many-letters"
EVENT = '{"name": "Zoë 😀",  "n":1.0, "big": 1e+21, "u":"\\u00eb"}'


def sign(text: str, secret: str = SECRET) -> str:
    return sign_bytes(text.encode(errors="surrogateescape"), secret)


@pytest.mark.parametrize("webhook", segment_webhooks(), ids=lambda webhook: webhook["name"])
def test_what_segment_signs_is_known(webhook: dict[str, Any]) -> None:
    signature = webhook["headers"]["X-Signature"]
    is_valid = signed_by(webhook["raw_body"].encode(), signature, [OTHER, webhook["secret"]])
    assert is_valid is (webhook["expect"]["signature"] == "valid")


@pytest.mark.parametrize(
    ("body", "signed"),
    [
        (EVENT, EVENT),
        (f"  {EVENT}\n", f"  {EVENT}\n"),
        (f"[{EVENT}]", EVENT),
        (f" \r\n[ {EVENT} , 2]", EVENT),
        (f"[{EVENT}, not JSON", EVENT),
        (f'[{{"json": {EVENT} }}, {{"json": 2}}]', EVENT),
        (f'[{{"json": {EVENT} }}]', f'{{"json": {EVENT} }}'),
        (f'{{"json":{EVENT}}}', EVENT),
        ("[1, 2]", "[1, 2]"),
        ("type=identify", "type=identify"),
        ("", ""),
        ('[{"a": "\udcff"}]', '{"a": "\udcff"}'),
        ("[" * 5_000 + "]" * 5_000, "[" * 4_999 + "]" * 4_999),
        (f"[{EVENT}," + "9" * MOST_SIGNED, EVENT),
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_the_bytes_that_came_are_what_is_signed(body: str, signed: str) -> None:
    sent = body.encode(errors="surrogateescape")
    assert signed_by(sent, sign(signed), [SECRET])
    assert signed_by(sent, sign(signed, OTHER), [SECRET, OTHER])
    assert not signed_by(sent, sign(signed, OTHER), [SECRET])
    assert not signed_by(sent, sign(signed), [])


@pytest.mark.parametrize(
    ("body", "signed"),
    [
        (f"[{EVENT}]", json.dumps([json.loads(EVENT)])),
        (f"[{EVENT}]", json.dumps(json.loads(EVENT))),
        (f"[1, {EVENT}]", EVENT),
        (f"[[{EVENT}]]", EVENT),
        (f"{EVENT}{EVENT}", EVENT),
        (f'[{{"body": {EVENT}}}]', EVENT),
        (f'[{{"json": {EVENT}, "a": 1}}]', EVENT),
        (f"[{EVENT}", ""),
        ("[]", ""),
        ("[oops]", ""),
        (f'["{"9" * MOST_SIGNED}"]', f'"{"9" * MOST_SIGNED}"'),
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_nothing_else_is(body: str, signed: str) -> None:
    assert not signed_by(body.encode(), sign(signed), [SECRET])


@pytest.mark.parametrize(
    "signature",
    ["", sign(EVENT)[:-1], sign(EVENT) + "0", sign(EVENT).upper(), "é" * 40, "g" * 40, "\n" * 40],
    ids=ascii,
)
def test_a_malformed_signature_is_none(signature: str) -> None:
    assert not signed_by(EVENT.encode(), signature, [SECRET])
    if "\n" not in signature:  # which no header can have
        request = Request(EnvironBuilder(headers=[("X-Signature", signature)]).get_environ())
        assert signature_from(request) == ""


def test_the_signature_is_in_a_header() -> None:
    request = Request(EnvironBuilder(headers=[("x-signature", sign(EVENT))]).get_environ())
    assert signature_from(request) == sign(EVENT)
    assert signature_from(Request(EnvironBuilder().get_environ())) == ""


def test_all_secrets_are_tried_whichever_matches() -> None:
    class Watched(tuple[str, ...]):
        looked_at = 0

        def __iter__(self) -> Iterator[str]:
            for secret in super().__iter__():
                self.looked_at += 1
                yield secret

    secrets = Watched((SECRET, OTHER, OTHER))
    assert signed_by(EVENT.encode(), sign(EVENT), secrets)
    assert secrets.looked_at == 3
