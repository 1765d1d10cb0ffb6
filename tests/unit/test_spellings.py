"""What is hidden on a page can be erased, and the other way round, however an address is spelt."""

import html
import json
import quopri
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest

from app.inspector.masking import mask
from app.outbox.address_matcher import AddressMatcher
from app.outbox.spellings import readings

ANA = "ana.münch@münchen.example"

PUNYCODE = "ana.münch@xn--mnchen-3ya.example"


def each(form: str) -> Callable[[str], str]:
    """Every letter of the text by its number."""
    return lambda text: "".join(form.format(ord(letter), letter=letter) for letter in text)


def bytewise(sign: str) -> Callable[[str], str]:
    """Every byte of the text behind a sign."""
    return lambda text: "".join(f"{sign}{byte:02x}" for byte in text.encode())


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "title case": str.title,
    "composed": lambda text: unicodedata.normalize("NFC", text),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "full width at": lambda text: text.replace("@", "\uff20"),
    "small at": lambda text: text.replace("@", "\ufe6b"),
    "full width": lambda text: "".join(
        chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text
    ),
    "ideographic stop": lambda text: text.replace(".example", "\u3002example"),
    "soft hyphen": lambda text: text.replace("chen", "\u00adchen\u200b"),
    "punycode": lambda text: text.replace("münchen", "xn--mnchen-3ya"),
    "punycode, upper case": lambda text: text.replace("münchen", "XN--MNCHEN-3YA"),
    "quoted": lambda text: '"{}"@{}'.format(*text.split("@")),
    "percent": lambda text: quote(text, safe=""),
    "percent, small": lambda text: quote(text, safe="").lower(),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent, all": bytewise("%"),
    "percent, Latin-1": lambda text: quote(text, safe="", encoding="latin-1"),
    "percent, as JavaScript has it": each("%u{:04x}"),
    "form": lambda text: urlencode({"to": f"to {text}"}),
    "within a form": lambda text: urlencode({"u": f"https://x.example/?{urlencode({'e': text})}"}),
    "entity": lambda text: text.replace("@", "&#64;"),
    "entity, hexadecimal": lambda text: text.replace("@", "&#x40;"),
    "entity, zeros": lambda text: text.replace("@", "&#00064;"),
    "entity, unended": lambda text: text.replace("@", "&#64").replace(".", "&#46"),
    "entity, named": lambda text: text.replace("@", "&commat;").replace(".", "&period;"),
    "entity, umlaut": lambda text: text.replace("ü", "&uuml;"),
    "entity twice": lambda text: html.escape(text.replace("@", "&#64;")),
    "entity, all": each("&#{};"),
    "XML": lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    "JSON": json.dumps,
    "JSON twice": lambda text: json.dumps(json.dumps(text)),
    "JSON, all": each("\\u{:04x}"),
    "JSON, upper case": each("\\u{:04X}"),
    "JavaScript": each("\\u{{{:x}}}"),
    "JavaScript, bytes": each("\\x{:02x}"),
    "Python": each("\\U{:08x}"),
    "quoted-printable": lambda text: quopri.encodestring(text.encode()).decode(),
    "quoted-printable, all": bytewise("="),
    "quoted-printable, broken lines": lambda text: "=\r\n".join(text),
    "quoted-printable in JSON": lambda text: json.dumps("=\r\n".join(text)),
    "encoded word": lambda text: "=?utf-8?q?{}?=".format(
        "".join(f"={b:02X}" for b in text.encode())
    ),
    "link in HTML in JSON": lambda text: json.dumps(
        html.escape(f'<a href="https://x.example/?a=1&e={quote(text, safe="")}">')
    ),
}


@pytest.mark.parametrize("address", [ANA, PUNYCODE])
@pytest.mark.parametrize("name", SPELLINGS)
def test_an_address_is_hidden_and_erased_in_every_spelling(name: str, address: str) -> None:
    spelt = SPELLINGS[name](ANA)
    for text in (spelt, f"to <{spelt}>, bo"):
        mention, shown = AddressMatcher(address), mask(text)
        assert mention.is_in(text)
        assert mention.is_in(text.encode())
        assert not mention.is_in(shown)
        assert not any("nch" in reading.text.casefold() for reading in readings(shown)), shown
        assert AddressMatcher(SPELLINGS["full width at"](address)).is_in(text)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-be", "utf-32-le"])
def test_a_body_may_be_in_another_encoding(encoding: str) -> None:
    assert AddressMatcher(ANA).is_in(f'{{"to": "{ANA}"}}'.encode(encoding))


@pytest.mark.parametrize("other", ["hanna", "x.ana", "x-ana", "x+ana", "x_ana", "o'ana", "ñana"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_another_address_is_not_erased_in_any_spelling(name: str, other: str) -> None:
    if name == "quoted":
        return  # a quote ends what is before it
    spelt = SPELLINGS[name](f"{other}@münchen.example")
    assert not AddressMatcher("ana@münchen.example").is_in(f"<{spelt}>"), spelt
    assert AddressMatcher(f"{other}@münchen.example").is_in(f"<{spelt}>")


def test_a_blank_of_a_form_is_no_part_of_an_address() -> None:
    assert AddressMatcher("ana@example.com").is_in("?text=to+ana%40example.com")
    assert not AddressMatcher("ana@example.com").is_in("?text=jo%2Bana%40example.com&x=a+b")
    assert not AddressMatcher("ana@example.com").is_in("jo+ana@example.com ?x=%40+%40")
