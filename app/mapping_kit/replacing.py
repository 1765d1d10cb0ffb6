"""The directive `@replace`: text in which one or two patterns are replaced.

Patterns are taken to the letter. They and what takes their place are short, as in Segment, so that
an event cannot be made to grow much.
"""

import re
from collections.abc import Callable
from typing import Any

from app.mapping_kit.compiler import Compiler, Value, read_options
from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.javascript import to_string

LONGEST = 10
"""Characters of a pattern, and of what takes its place."""

STEPS = (("pattern", "replacement"), ("pattern2", "replacement2"))

FLAGS = ("ignorecase", "global")


def compile_replace(compiler: Compiler, given: Any, place: str) -> Value:
    """Compile `@replace`. Numbers, true and false are text; of anything else comes empty text."""
    optional = ("replacement", "pattern2", "replacement2", *FLAGS)
    options = read_options(given, place, needed=("pattern", "value"), optional=optional)
    if wrong := {f"{place}.{name}": [why] for name in options if (why := _wrong(name, options))}:
        raise InvalidMapping(wrong)
    steps = [
        _step(options[pattern], options.get(replacement, ""), options)
        for pattern, replacement in STEPS
        if options.get(pattern)
    ]
    value = compiler.text(options["value"], f"{place}.value")

    def replace(event: Any) -> str:
        found = value(event)
        text = to_string(found) if isinstance(found, (str, bool, int, float)) else ""
        for step in steps:
            text = step(text)
        return text

    return replace


def _wrong(name: str, options: dict[str, Any]) -> str:
    """What is wrong with an option, if anything."""
    given = options[name]
    if name == "value":
        return ""
    if name in FLAGS:
        return "" if isinstance(given, bool) else "Has to be true or false."
    if not isinstance(given, str) or len(given) > LONGEST or (name == "pattern" and not given):
        return f"Has to be text of at most {LONGEST} characters."
    if "replacement" in name and re.search(r"\$[`']", given.replace("$$", "")):
        return "$` and $' are not supported: an event could be made to grow without limit."
    return ""


def _step(pattern: str, replacement: str, options: dict[str, Any]) -> Callable[[str], str]:
    flags = re.IGNORECASE if options.get("ignorecase") else re.NOFLAG
    if pattern.isascii():
        flags |= re.ASCII  # as in JavaScript, where the sign for kelvin is no letter k
    search = re.compile(re.escape(pattern), flags)
    count = 0 if options.get("global", True) else 1
    parts = [part.split("$&") for part in replacement.split("$$")]

    def write(found: re.Match[str]) -> str:
        return "$".join(found[0].join(part) for part in parts)

    return lambda text: search.sub(write, text, count)
