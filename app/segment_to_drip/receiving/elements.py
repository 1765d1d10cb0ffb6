"""Cut the body of a webhook of Segment into its events. Pure."""

from collections.abc import Iterator

from app.json_elements import elements, is_array, unwrapped

MOST_ELEMENTS = 10_000
"""Segment's batches have up to 4,000 events."""


class NotCut(Exception):
    """The body is an array, but it is no batch that can be cut. The message says why."""


def events_of(body: bytes) -> Iterator[bytes]:
    """Yield each event as it stands: of an array its elements, otherwise the body.

    What is in `{"json": …}` is taken out of it. Letters that are not UTF-8 are passed on, so that
    they cost their own event only. Raises `NotCut` at the place from which on the body makes no
    sense; what was yielded before should then not count.
    """
    text = body.decode(errors="surrogateescape")
    if not is_array(text):
        inner = unwrapped(text)
        yield body if inner is text else _encode(inner)
        return
    slices = elements(text)
    for number in range(MOST_ELEMENTS + 1):
        try:
            begin, end = next(slices)
        except StopIteration:
            return
        except ValueError:
            raise NotCut("An array that is not JSON.") from None
        if number == MOST_ELEMENTS:
            raise NotCut(f"An array of more than {MOST_ELEMENTS:,} elements.")
        yield _encode(unwrapped(text[begin:end]))


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
