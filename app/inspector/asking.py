"""The page that asks before something is done that cannot be undone, and how many in words."""

from collections.abc import Sequence

from flask import render_template, url_for


def ask(question: str, said: Sequence[str], button: str, which: str = "", back: str = "") -> str:
    """A page whose form posts to the URL that it came from, with `sure` and `which`."""
    return render_template(
        "confirm.html",
        question=question,
        said=said,
        button=button,
        fields={"sure": "1", "which": which} if which else {"sure": "1"},
        back=back or url_for("inspector.stream"),
    )


def events_in_words(count: int) -> str:
    """`1 event`, `2,000 events`."""
    return f"{count:,} event" if count == 1 else f"{count:,} events"
