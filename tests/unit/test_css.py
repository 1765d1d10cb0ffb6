"""The inspector's colours can be read, on light and dark (WCAG 2.2, AA)."""

import re
from pathlib import Path

import pytest

import app.inspector

STATIC = Path(app.inspector.__file__).parent / "static"
CSS = (STATIC / "inspector.css").read_text()

TEXT, SHAPE = 4.5, 3.0
"""The least contrast: 1.4.3 for text, 1.4.11 for edges, shapes and focus rings."""

ON_EVERY_BACKGROUND = [
    *[(name, TEXT) for name in ("text", "muted", "link", "good", "bad")],
    ("held", TEXT),
    ("focus", SHAPE),
    ("edge", SHAPE),
]

ON_ITS_OWN = [
    *[(name, f"{name}-back") for name in ("good", "bad", "pending", "held", "quiet")],
    ("quarantined", "quarantined-back"),
    ("on-main", "main"),
    ("on-main", "main-hover"),
]


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


LIGHT_BLOCK, DARK_BLOCK = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
LIGHT = colours(LIGHT_BLOCK)
DARK = LIGHT | colours(DARK_BLOCK)

both = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])


def luminance(colour: str) -> float:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@both
@pytest.mark.parametrize("back", ["page", "surface", "sunk"])
@pytest.mark.parametrize(("name", "least"), ON_EVERY_BACKGROUND)
def test_a_colour_stands_out_from_every_background(
    theme: dict[str, str], name: str, least: float, back: str
) -> None:
    assert contrast(theme[name], theme[back]) >= least


@both
@pytest.mark.parametrize(("name", "back"), ON_ITS_OWN)
def test_a_badge_a_notice_and_a_button_can_be_read(
    theme: dict[str, str], name: str, back: str
) -> None:
    assert contrast(theme[name], theme[back]) >= TEXT


@both
def test_outcomes_have_colours_of_their_own(theme: dict[str, str]) -> None:
    assert len({theme[name] for name in ("good", "held", "bad")}) == 3


def test_dark_leaves_no_colour_as_it_is_by_day() -> None:
    assert colours(DARK_BLOCK).keys() == LIGHT.keys()


def test_no_colour_stands_outside_of_the_measured_ones() -> None:
    for file in STATIC.glob("*.css"):
        rest = re.sub(r":root \{.*?\}", "", file.read_text(), flags=re.DOTALL)
        assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;, ])|rgb\(|hsl\(", rest), file.name


def test_every_class_is_used() -> None:
    folder = STATIC.parent
    files = [*folder.glob("*.py"), *folder.glob("templates/*.html"), *STATIC.glob("*.js")]
    used = "".join(file.read_text() for file in files)
    for file in STATIC.glob("*.css"):
        rules = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.DOTALL)
        for name in set(re.findall(r"\.([a-z][\w-]+)", rules)):
            start = re.match(".+?(--|__)", name)  # a template puts in how some end
            assert name in used or (start and start[0] in used), f"{file.name}: {name}"


def test_nothing_is_fetched_from_anywhere() -> None:
    for file in STATIC.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//\w+\.|@import|url\(", text), file.name
