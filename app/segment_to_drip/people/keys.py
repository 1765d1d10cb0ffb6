"""The keys under which ids and addresses are remembered. Pure."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

LONGEST_ID = 200
"""Characters. A longer id is remembered by its hash: indexes take no text of any length."""


def key_of(kind: str, value: str | None) -> str:
    """The key of a user id ("u"), an anonymous id ("a"), an id of Drip's own ("d") or an address
    ("e"), as the tables have it; "" without one."""
    if not value:
        return ""
    if len(value) > LONGEST_ID or not value.isprintable():
        value = sha256(value.encode(errors="surrogatepass")).hexdigest()
    return f"{kind}:{value}"


def keys_of(call: Mapping[str, Any]) -> set[str]:
    """The keys of all that `Memory` may ask for because of a call."""
    if call["type"] == "alias":
        previous = call["previous_id"]
        return {key_of("u", call["user_id"]), key_of("u", previous), key_of("a", previous)}
    ids = ("u", call["user_id"]), ("a", call["anonymous_id"]), ("d", call.get("drip_id"))
    keys = {key_of(kind, value) for kind, value in ids}
    if call["user_id"] or new_email_of(call):
        keys |= {key_of("e", value.lower()) for kind, value in call["who"] if kind == "email"}
    return keys


def new_email_of(call: Mapping[str, Any]) -> str | None:
    """The address to which the call itself changes that of its person."""
    once = call.get("once", call)  # a campaign call has it by itself
    new = once.get("new_email")
    return new.lower() if new else None
