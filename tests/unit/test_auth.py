"""The secret in the URL, or in its place the Basic password."""

from base64 import b64encode
from collections.abc import Iterator

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from app.web.auth import is_valid_token, token_from

TOKEN = "a-token-of-many-letters"
OTHER = "another-of-many-letters"


def request(query: str = "", authorization: str | None = None) -> Request:
    headers = [] if authorization is None else [("Authorization", authorization)]
    builder = EnvironBuilder("/webhooks/drip", query_string=query, headers=headers)
    return Request(builder.get_environ())


def basic(credentials: bytes) -> str:
    return f"Basic {b64encode(credentials).decode()}"


@pytest.mark.parametrize(
    ("query", "authorization", "token"),
    [
        ("token=secret", None, "secret"),
        ("a=b&token=secret&c=d", None, "secret"),
        ("token=a%2Bb%20c+d", None, "a+b c d"),
        ("token=first&token=second", None, "first"),
        ("", basic(b":secret"), "secret"),
        ("", "Bearer secret", "secret"),
        ("", "bearer  secret ", "secret"),
        ("", "Bearer a=b&c=d", "a=b&c=d"),
        ("", "Bearer secret==", "secret=="),
        ("", basic(b"drip:secret"), "secret"),
        ("", basic(b"drip:with:colons"), "with:colons"),
        ("token=", basic(b":secret"), "secret"),
        ("token=query", basic(b":basic"), "query"),
    ],
)
def test_the_token_is_in_the_query_or_the_basic_password(
    query: str, authorization: str | None, token: str
) -> None:
    assert token_from(request(query, authorization)) == token


@pytest.mark.parametrize(
    ("query", "authorization"),
    [
        ("", None),
        ("token=", None),
        ("Token=secret", None),
        ("secret", None),
        ("", basic(b"secret")),
        ("", basic(b"secret:")),
        ("", basic(b":\xff\xfe")),
        ("", "Basic not-base64"),
        ("", "Basic"),
        ("", "Bearer"),
        ("", "secret"),
        ("", ""),
    ],
)
def test_no_token_is_offered_if_neither_has_one(query: str, authorization: str | None) -> None:
    assert token_from(request(query, authorization)) == ""


@pytest.mark.parametrize("tokens", [(TOKEN,), (TOKEN, OTHER), (OTHER, TOKEN)])
def test_each_of_our_tokens_is_known(tokens: tuple[str, ...]) -> None:
    assert is_valid_token(TOKEN, tokens)


@pytest.mark.parametrize(
    "offered",
    [
        "",
        " ",
        TOKEN[:-1],
        TOKEN + "x",
        TOKEN + "\x00",
        f" {TOKEN}",
        TOKEN.upper(),
        TOKEN + OTHER,
        f"{TOKEN},{OTHER}",
        "ключ-не-наш-совсем",
        "\ud800" * 20,
        "x" * 1_000_000,
    ],
    ids=lambda offered: ascii(offered[:30]),
)
def test_anything_else_is_unknown(offered: str) -> None:
    assert not is_valid_token(offered, (TOKEN, OTHER))


@pytest.mark.parametrize("offered", ["", TOKEN])
def test_nobody_is_known_without_tokens_of_our_own(offered: str) -> None:
    assert not is_valid_token(offered, ())


def test_a_token_may_have_letters_of_any_script() -> None:
    assert is_valid_token("ключ-длинный-и-наш", ("ключ-длинный-и-наш",))


def test_all_tokens_are_compared_whichever_matches() -> None:
    class Watched(tuple[str, ...]):
        looked_at = 0

        def __iter__(self) -> Iterator[str]:
            for token in super().__iter__():
                self.looked_at += 1
                yield token

    tokens = Watched((TOKEN, OTHER, OTHER))
    assert is_valid_token(TOKEN, tokens)
    assert tokens.looked_at == 3


def test_a_bearer_token_is_offered_too() -> None:
    assert token_from(request("", "Bearer secret")) == "secret"
