"""JSON of all kinds for Hypothesis, also such as Python would not write.

HYPOTHESIS_EXAMPLES=1000 looks longer than a run of the whole suite has time for.
"""

import json
import os
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

# at import, since Hypothesis writes its cache before any test runs; not into the working tree
set_hypothesis_home_dir(Path(gettempdir()) / "hypothesis")

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "50"))

thoroughly = settings(max_examples=EXAMPLES, derandomize=True, deadline=None)


BEYOND_JSON_DUMPS = {
    "<huge>": b"1e400",
    "<4300 digits>": b"9" * 4300,
    "<5000 digits>": b"9" * 5000,
    "<NaN>": b"NaN",
    "<surrogate in UTF-8>": b'"\xed\xa0\x80"',
    "<33 KB>": b'"%s"' % (b"x" * 33_000),
    "<quotes of 33 KB>": b'"%s"' % (b'\\"' * 16_400),
    **{f"<deep {n}>": b"[" * n + b"]" * n for n in (50, 300, 400, 480, 600, 900, 990, 5000)},
    **{f"<deeper {n}>": b'{"a":' * n + b"1" + b"}" * n for n in (300, 480, 900, 990, 5000)},
}
"""What a leaf of the JSON may stand for, though Python would not write it."""

any_text = st.text(st.characters(exclude_categories=()), max_size=20)


def json_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Values whose texts and names are these."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | texts
        | st.sampled_from(sorted(BEYOND_JSON_DUMPS))
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=6),
        max_leaves=12,
    )


def to_body(value: Any) -> bytes:
    body = json.dumps(value).encode()
    for name, text in BEYOND_JSON_DUMPS.items():
        body = body.replace(json.dumps(name).encode() + b":", b'"key":')
        body = body.replace(json.dumps(name).encode(), text)
    return body


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a tree, as what holds it and the key or index there."""
    keys: Any = ()
    if isinstance(value, dict):
        keys = value
    elif isinstance(value, list):
        keys = range(len(value))
    return [place for key in keys for place in ((value, key), *places_in(value[key]))]
