"""Addresses are hidden in whatever is shown."""

import json
import time

import pytest

from app.inspector.display import NOT_TEXT, raw_to_pretty, raw_to_text
from app.inspector.masking import mask, mask_all

ANA = "ana.b@example.com"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ANA, "a•••@e•••.com"),
        ("Ana <ana@mail.example.co.uk>, hi", "Ana <a•••@m•••.uk>, hi"),
        ("mailto:ana+shop@example.com?subject=x", "mailto:a•••@e•••.com?subject=x"),
        ("https://x.example/?e=ana%40example.com&a=1", "https://x.example/?e=a•••%40e•••.com&a=1"),
        ("?e=ana%2Bshop%40example.com", "?e=a•••%40e•••.com"),
        ("?utm_source=news&e=ana%40example.com", "?utm_source=news&e=a•••%40e•••.com"),
        ("?e=tom%26ana%40example.com", "?e=t•••%40e•••.com"),
        ("?e=bounce+ana=example.com@list.example", "?e=b•••@l•••.example"),
        ("?ana@example.com", "?a•••@e•••.com"),
        ("tom&ana=example.com@list.example", "t•••@l•••.example"),
        ("bounce+ana=example.com@list.example", "b•••@l•••.example"),
        ("?to=x%3Fe%3Dana%2540example.com", "?to=x%3Fe•••%2540e•••.com"),
        (r'{"a": "ana\u0040example.com"}', r'{"a": "a•••\u0040e•••.com"}'),
        ("ana&#64;example.com", "a•••&#64;e•••.com"),
        ("é@münchen.example", "é•••@m•••.example"),
        ('"ana b"@example.com', "a•••@e•••.com"),
        ("root@localhost", "r•••@l•••"),
        ("it ended with ana@example.com.", "it ended with a•••@e•••.com"),
        ("a,b@c.example;d@e.example", "a,b•••@c•••.example;d•••@e•••.example"),
        ("ana@example.com@b.example", "a•••@e•••.com@b•••.example"),
        (r'"\"ana b\"@example.com"', r'"a•••@e•••.com"'),
        ("at 5 @ the shop, @ana", "at 5 @ the shop, @ana"),
    ],
)
def test_an_address_is_hidden_wherever_it_stands(text: str, shown: str) -> None:
    assert mask(text) == shown


@pytest.mark.parametrize("hostile", ["x", "x@", '"x', "@", '"', "%25", "\\"])
def test_a_long_text_takes_no_longer_than_its_length(hostile: str) -> None:
    began = time.process_time()
    mask(hostile * (200_000 // len(hostile)))
    assert time.process_time() - began < 5


def test_names_and_values_within_json_are_hidden() -> None:
    value = {ANA: [ANA, 1, None, {"a": f"x {ANA}"}]}
    assert mask_all(value) == {
        "a•••@e•••.com": ["a•••@e•••.com", 1, None, {"a": "x a•••@e•••.com"}]
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32-be"])
def test_a_body_in_any_encoding_is_read_before_it_is_hidden(encoding: str) -> None:
    raw = json.dumps({"email": ANA}).encode(encoding)
    for show in (raw_to_text, raw_to_pretty):
        assert "a•••@e•••.com" in show(raw, False)
        assert ANA in show(raw, True)


def test_bytes_that_could_hide_an_address_are_hidden() -> None:
    for raw in (b"\xff" + ANA.encode("utf-16-le"), b"a\0n\0a\0@\0e\0.\0c\0x"):
        assert raw_to_text(raw, False) == NOT_TEXT
        assert "\\x00" in raw_to_text(raw, True) or "ana@" in raw_to_text(raw, True)
    assert raw_to_text(b"caf\xe9 \\ " + ANA.encode(), False) == r"caf\xe9 \\ a•••@e•••.com"


def test_what_deceives_the_eye_is_made_visible() -> None:
    assert raw_to_text("a\x1b[2J\u202eb".encode(), False) == r"a\x1b[2J\u202eb"


def test_a_long_body_is_cut_visibly() -> None:
    shown = raw_to_text(b"x" * 70_000, False)
    assert len(shown) < 66_000
    assert "4,464 characters more" in shown
