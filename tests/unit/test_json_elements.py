"""Elements are cut out of a text to the letter, however odd they are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.json_elements import elements, first_element, is_array, members, unwrapped

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SPACE = st.text(" \t\r\n", max_size=3)
DEEP = "[" * 100_000 + "]" * 100_000


def cut(text: str) -> list[str]:
    return [text[begin:end] for begin, end in elements(text)]


@given(st.lists(st.tuples(SPACE, JSON, SPACE)), SPACE, st.booleans())
def test_elements_are_cut_to_the_letter(
    parts: list[tuple[str, object, str]], around: str, ascii_only: bool
) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii_only) for _, value, _ in parts]
    inside = ",".join(
        f"{before}{text}{after}" for (before, _, after), text in zip(parts, texts, strict=True)
    )
    assert cut(f"{around}[{inside or around}]{around}") == texts


@pytest.mark.parametrize(
    "odd",
    [
        DEEP,
        '{"a": ' * 5_000 + r'"]}\"]}"' + "}" * 5_000,
        "9" * 5_000,
        "1e999",
        "-0",
        "NaN",
        '"a\tb\nc"',
        r'"\ud800"',
        '"\ud800"',
        r'"\\"',
        '{"]": "[", "\\"": "}"}',
    ],
    ids=lambda odd: ascii(odd[:20]),
)
def test_an_odd_element_is_cut_out_and_costs_no_neighbour(odd: str) -> None:
    assert cut(f"[1, {odd} ,{odd},2]") == ["1", odd, odd, "2"]
    assert first_element(f"[ {odd}") == odd


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{}",
        "1",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1;2]",
        "[1]]",
        "[1] 2",
        "[a]",
        '["a]',
        "]",
        "[" * 100_000,
        "[" + DEEP[:-1],
    ],
    ids=lambda text: text[:9],
)
def test_what_is_no_array_is_not_cut(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        cut(text)


def test_what_comes_before_a_fault_is_cut_first() -> None:
    found = elements('[{"a": 1}, [2], oops')
    assert [next(found), next(found)] == [(1, 9), (11, 14)]
    with pytest.raises(ValueError, match="Expecting value"):
        next(found)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ('[{"a": 1.0}, oops', '{"a": 1.0}'),
        ('\ufeff [ "é" ]', '"é"'),
        ("[1e+21]", "1e+21"),
        ("[]", ""),
        ("[oops", ""),
        ('[{"a"', ""),
        ('{"a": 1}', ""),
        ("", ""),
    ],
)
def test_the_first_element_needs_no_whole_array(text: str, first: str) -> None:
    assert first_element(text) == first


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ('{"json": {"a":  1.0}}', '{"a":  1.0}'),
        (' { "json" : {"json": 1} } ', '{"json": 1}'),
        ('{"json":"}"}', '"}"'),
        (f'{{"json":{DEEP}}}', DEEP),
    ],
)
def test_a_wrapper_is_taken_off_once(text: str, inner: str) -> None:
    assert unwrapped(text) == inner


@pytest.mark.parametrize(
    "text",
    [
        '{"json": 1, "a": 2}',
        '{"a": 2, "json": 1}',
        '{"json": 1}}',
        '{"json": 1',
        '{"json": oops}',
        '{"json"}',
        '{"JSON": 1}',
        '{"body": "a=b"}',
        '["json", 1]',
        "",
    ],
)
def test_what_is_no_wrapper_is_left_alone(text: str) -> None:
    assert unwrapped(text) == text


@pytest.mark.parametrize(
    ("text", "expected"), [(" \n[", True), ("\ufeff[1]", True), ("{}", False), ("", False)]
)
def test_an_array_is_known_by_its_first_letter(text: str, expected: bool) -> None:
    assert is_array(text) is expected


def cut_members(text: str) -> list[tuple[str, str]]:
    return [(name, text[begin:end]) for name, begin, end in members(text)]


@given(st.lists(st.tuples(st.text(), SPACE, JSON)), SPACE, st.booleans())
def test_members_are_cut_to_the_letter(
    parts: list[tuple[str, str, object]], around: str, ascii_only: bool
) -> None:
    texts = [(name, json.dumps(value, ensure_ascii=ascii_only)) for name, _, value in parts]
    inside = ",".join(
        f"{space}{json.dumps(name)}{space}:{space}{text}{space}"
        for (_, space, _), (name, text) in zip(parts, texts, strict=True)
    )
    assert cut_members(f"{around}{{{inside or around}}}{around}") == texts


def test_a_member_may_be_deep_or_no_json() -> None:
    text = f'{{"a": NaN, "b": {DEEP}, "a": 1e999}}'
    assert cut_members(text) == [("a", "NaN"), ("b", DEEP), ("a", "1e999")]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", "}", "{}}", '{"a"}', '{"a":}', '{"a":1', '{"a":1,}', '{"a":1 "b":2}'),
        *("{,}", "{1:2}", "{a: 1}", '{"a":1}x', '"a":1', "{[]:1}"),
    ],
)
def test_what_is_no_object_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        cut_members(text)
