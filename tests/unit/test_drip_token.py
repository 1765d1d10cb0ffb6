"""Drip's API token, in whatever form people have it at hand."""

import base64

import pytest
from marshmallow import ValidationError

from app.config.fields import DripToken, plain_token

TOKEN = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("end", [":", ":\n", ":\r\n"])
@pytest.mark.parametrize("token", [TOKEN, "k", "to=ken-1."])
def test_a_token_in_base64_is_recognised(token: str, end: str) -> None:
    assert plain_token(in_base64(f"{token}{end}")) == token
    assert DripToken().deserialize(f" {in_base64(token + end)}\n") == token


@pytest.mark.parametrize(
    "pasted",
    [
        *(TOKEN, "abcd", "0a1b2c==", "=", "to:ken:", "k"),
        *(in_base64(TOKEN), in_base64(":"), in_base64(f"{TOKEN}:x"), in_base64(f"{TOKEN}::")),
        *(in_base64("key :"), in_base64("cl\N{LATIN SMALL LETTER E WITH ACUTE}:")),
        in_base64("tokens:").rstrip("="),
    ],
)
def test_any_other_text_is_the_token_itself(pasted: str) -> None:
    assert plain_token(pasted) == pasted
    assert DripToken().deserialize(pasted) == pasted


@pytest.mark.parametrize("pasted", ["", "two words", "cl\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_what_no_header_can_hold_is_refused(pasted: str) -> None:
    with pytest.raises(ValidationError):
        DripToken().deserialize(pasted)
