"""Cut a trigger into tokens."""

import re
from typing import NamedTuple

from app.mapping_kit.errors import InvalidMapping


class Token(NamedTuple):
    """A token of a trigger."""

    kind: str
    """string, number, sign, word or end."""
    text: str
    """As it stands in the trigger."""


END = Token("end", "the end")

_TOKENS = re.compile(
    r"""\s*(?:
      (?P<string>"[^"]*")
    | (?P<number>[-+]?[0-9]+(?:\.[0-9]+)?(?![\w.\\-]))
    | (?P<sign>!=|<=|>=|[=<>!(),])
    | (?P<word>(?:\\.|[^\s"'=<>!(),\\])+)
    )""",
    re.VERBOSE,
)


def tokens_of(text: str) -> list[Token]:
    """The tokens of a trigger. Raises `InvalidMapping` at what is none."""
    tokens = []
    end, length = 0, len(text.rstrip())
    while end < length:
        found = _TOKENS.match(text, end)
        if found is None or found.lastgroup is None:
            raise InvalidMapping.because(f"{text[end:].strip()[:20]} cannot be read.")
        token = Token(found.lastgroup, found[found.lastgroup])
        if token.text in ("and", "or") and text.startswith(("(", "!"), found.end()):
            raise InvalidMapping.because(f"Put a space after {token.text}, as Segment needs it.")
        tokens.append(token)
        end = found.end()
    return tokens


def text_in_quotes(token: Token) -> str:
    """The text of a string token. A backslash in it is a letter like any other."""
    return token.text[1:-1]


def unescaped(word: str) -> str:
    """A word without the backslashes before what is no letter, digit, _ or -."""
    return re.sub(r"\\(.)", r"\1", word)
