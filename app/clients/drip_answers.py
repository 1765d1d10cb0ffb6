"""Read what Drip's REST API answers about webhooks, users and accounts
(docs/development/facts.md §§ 1, 5). Pure.

Each function raises `ValueError` if the answer is not what the documentation describes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import EXCLUDE, INCLUDE, Schema, ValidationError, fields, validate


@dataclass(frozen=True)
class Webhook:
    """One of the account's webhooks, as Drip describes it."""

    id: str
    post_url: str = field(repr=False)
    """"" if Drip gave none."""
    events: frozenset[str]
    includes_received_email: bool


@dataclass(frozen=True)
class User:
    """Who an API token belongs to."""

    name: str = field(repr=False)
    """"" if Drip gave none."""
    email: str = field(repr=False)
    """"" if Drip gave none."""


@dataclass(frozen=True)
class Account:
    """An account that an API token gives access to."""

    id: str
    name: str
    """"" if Drip gave none."""


class _Id(fields.String):
    """An id as a number or text. It becomes part of a URL, so it may have no slash and no dot."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = str(value) if isinstance(value, int) else value
        id_: str = super()._deserialize(text, *args, **kwargs)
        validate.Regexp(r"[\w-]+\Z", re.ASCII)(id_)
        return id_


class _Webhook(Schema):
    class Meta:
        unknown = INCLUDE

    id = _Id(required=True)
    post_url = fields.String(load_default="", allow_none=True)
    events = fields.List(fields.String(), load_default=list, allow_none=True)
    include_received_email = fields.Boolean(load_default=False, allow_none=True)


class _Webhooks(Schema):
    class Meta:
        unknown = EXCLUDE

    webhooks = fields.List(fields.Nested(_Webhook), required=True)


class _User(Schema):
    class Meta:
        unknown = EXCLUDE

    email = fields.String(load_default="", allow_none=True)
    name = fields.String(load_default="", allow_none=True)


class _Users(Schema):
    class Meta:
        unknown = EXCLUDE

    users = fields.List(fields.Nested(_User), required=True, validate=validate.Length(min=1))


class _Account(Schema):
    class Meta:
        unknown = EXCLUDE

    id = _Id(required=True)
    name = fields.String(load_default="", allow_none=True)


class _Accounts(Schema):
    class Meta:
        unknown = EXCLUDE

    accounts = fields.List(fields.Nested(_Account), required=True)


def read_webhooks(answer: Any) -> list[Webhook]:
    """Return the webhooks in an answer."""
    return [_to_webhook(webhook) for webhook in _load(_Webhooks(), answer)["webhooks"]]


def read_user(answer: Any) -> User:
    """Return the first user in an answer: there is one."""
    user = _load(_Users(), answer)["users"][0]
    return User(user["name"] or "", user["email"] or "")


def read_accounts(answer: Any) -> list[Account]:
    """Return the accounts in an answer."""
    accounts = _load(_Accounts(), answer)["accounts"]
    return [Account(account["id"], account["name"] or "") for account in accounts]


def _load(schema: Schema, answer: Any) -> Any:
    try:
        return schema.load(answer)
    except ValidationError:  # it quotes the answer
        raise ValueError("not what Drip's documentation describes") from None


def _to_webhook(values: Mapping[str, Any]) -> Webhook:
    return Webhook(
        id=values["id"],
        post_url=values["post_url"] or "",
        events=frozenset(values["events"] or ()),
        includes_received_email=bool(values["include_received_email"]),
    )
