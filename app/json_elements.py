"""Cut JSON text into its elements, each to the letter. Pure.

Signatures and fingerprints are made of the text that a sender wrote. Parsed and written again, it
would be another text.
"""

import re
from collections.abc import Iterator
from json import JSONDecoder

_SPACE = re.compile(r"[ \t\r\n]*")
_WRAPPER = re.compile(r'[ \t\r\n]*\{[ \t\r\n]*"json"[ \t\r\n]*:[ \t\r\n]*')
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)

# only the end of a value is wanted: a number may be of any size, and a string may have any letter
_decode = JSONDecoder(parse_int=str, strict=False).raw_decode


def is_array(text: str) -> bool:
    """Whether the text begins as a JSON array does."""
    return text.startswith("[", _begin(text))


def elements(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each element of a JSON array begins and ends. Raises `ValueError` at the place
    from which on it is none."""
    for _, begin, end in _parts(text, "[", "]"):
        yield begin, end


def members(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each member of a JSON object, and where its value begins and ends. Raises
    `ValueError` at the place from which on it is none."""
    return _parts(text, "{", "}")


def _parts(text: str, opening: str, closing: str) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each part, which is "" in an array, and where its value begins and ends."""
    position = _begin(text)
    if not text.startswith(opening, position):
        raise ValueError(f"no {opening} at the beginning")
    position = _skip(text, position + 1)
    if not text.startswith(closing, position):
        while True:
            name, begin = _name(text, position) if opening == "{" else ("", position)
            end = end_of_value(text, begin)
            yield name, begin, end
            position = _skip(text, end)
            if text.startswith(closing, position):
                break
            if not text.startswith(",", position):
                raise ValueError("no comma between two parts")
            position = _skip(text, position + 1)
    if _skip(text, position + 1) < len(text):
        raise ValueError("text after the end")


def _name(text: str, position: int) -> tuple[str, int]:
    """The name that begins there, and where its value begins."""
    if not text.startswith('"', position):
        raise ValueError("no name")
    name, end = _decode(text, position)
    colon = _skip(text, end)
    if not text.startswith(":", colon):
        raise ValueError("no value after a name")
    return name, _skip(text, colon + 1)


def first_element(text: str) -> str:
    """The first element of a JSON array, or "" if it has none. The text may end after it."""
    try:
        begin, end = next(elements(text), (0, 0))
    except ValueError:
        return ""
    return text[begin:end]


def unwrapped(text: str) -> str:
    """The inner value of `{"json": …}`. Any other text as it is."""
    match = _WRAPPER.match(text)
    if match is None:
        return text
    try:
        end = end_of_value(text, match.end())
    except ValueError:
        return text
    return text[match.end() : end] if text[end:].strip(" \t\r\n") == "}" else text


def end_of_value(text: str, begin: int) -> int:
    """Return where the JSON value ends that begins there. Raises `ValueError` if there is none."""
    try:
        _, end = _decode(text, begin)
    except RecursionError:  # too deep to be parsed, but not to be cut out
        return _end_by_brackets(text, begin)
    return end


def _end_by_brackets(text: str, begin: int) -> int:
    depth = 0
    for match in _BRACKETS.finditer(text, begin):
        if match[0] in "[{":
            depth += 1
        elif match[0] in "]}":
            depth -= 1
        if depth == 0:
            return match.end()
    raise ValueError("a value that does not end")


def _begin(text: str) -> int:
    return _skip(text, 1 if text.startswith("\ufeff") else 0)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position
