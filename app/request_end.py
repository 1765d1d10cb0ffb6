"""Is an HTTP/1.1 request whole yet? Pure, and only as strict as that question needs.

gunicorn parses the request, and refuses a malformed one; this only tells when it can do so without
waiting for the sender.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

HEAD_END = b"\r\n\r\n"

LONGEST_CHUNK_LINE = 8192
"""Bytes. gunicorn refuses one that is longer than about this."""

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]+")

_MOST_DIGITS = 15
"""A length of more is one that never comes; Python counts no further than 63 bits in bytes."""


class Verdict(NamedTuple):
    """What is known of a request by its head."""

    refusal: bytes | None = None
    """The whole answer to it, for which no body is waited."""

    takes_turns: bool = False
    """It waits for nothing but what lets others take their turns (app/turns.py)."""


class ArrivingRequest:
    """The bytes of one request so far. `feed` is called with each piece, in order.

    `head_to_verdict` is asked once, with the head up to its empty line.
    """

    def __init__(self, head_to_verdict: Callable[[bytes], Verdict]) -> None:
        self.received = bytearray()
        self.verdict = Verdict()
        self._head_to_verdict = head_to_verdict
        self.expects_continue = False
        """The sender waits for a "100 Continue" before it sends the body."""
        self._body_start: int | None = None
        self._body_length: int | None = None
        self._next_chunk = 0
        self._trailer: int | None = None

    def feed(self, data: bytes) -> bool:
        """Whether the request is whole now, or malformed so that no more of it is needed."""
        searched = max(len(self.received) - len(HEAD_END), 0)
        self.received += data
        if self._body_start is None and not self._read_head(searched):
            return False
        if self.verdict.refusal:
            return True
        if self._body_length is not None:
            return len(self.received) - (self._body_start or 0) >= self._body_length
        return self._is_past_last_chunk()

    def _read_head(self, searched: int) -> bool:
        end = self.received.find(HEAD_END, searched)
        if end < 0:
            return False
        head = bytes(self.received[: end + 2])
        self._body_start = self._next_chunk = end + len(HEAD_END)
        self.verdict = self._head_to_verdict(head)
        self.expects_continue = not self.verdict.refusal and bool(_EXPECTS.search(head))
        if not _CHUNKED.search(head):
            length = _CONTENT_LENGTH.search(head)
            self._body_length = _to_length(length[1], 10) if length else 0
        return True

    def _is_past_last_chunk(self) -> bool:
        """Hop from chunk to chunk; nothing is looked at twice but an unfinished line."""
        while self._trailer is None:
            start = self._next_chunk
            end = self.received.find(b"\r\n", start, start + LONGEST_CHUNK_LINE)
            if end < 0:
                return len(self.received) - start >= LONGEST_CHUNK_LINE
            size = _CHUNK_SIZE.match(self.received, start, end)
            if size is None:
                return True
            if length := _to_length(size[0], 16):
                self._next_chunk = end + 2 + length + 2
            else:
                # the trailer section, usually empty, ends with an empty line
                self._trailer = end
        found = self.received.find(HEAD_END, self._trailer) >= 0
        self._trailer = max(self._trailer, len(self.received) - len(HEAD_END))
        return found


def _to_length(digits: bytes, base: int) -> int:
    return int(digits.lstrip(b"0")[:_MOST_DIGITS] or b"0", base)
