"""Marshmallow fields for Segment → Drip."""

import re
from typing import Any

from marshmallow import ValidationError, fields

from app.config.fields import MIN_TOKEN, AccountId, DripToken, WriteKey, read_pairs


class ApiTokens(fields.Field[dict[str, str]]):
    """Pairs of `account=token`, as a mapping of account to token."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> dict[str, str]:
        tokens: dict[str, str] = {}
        for name, token in read_pairs(value, "API token"):
            account = AccountId().deserialize(name)
            if account in tokens:
                raise ValidationError("names an account twice.")
            tokens[account] = DripToken().deserialize(token)
        return tokens


class TrackingKeys(fields.Field[dict[str, str]]):
    """Write keys of Segment's SDKs, as a mapping of key to account. `account=key` names one; a key
    alone is for the default account, ""."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> dict[str, str]:
        accounts: dict[str, str] = {}
        for given in filter(None, map(str.strip, value.split(","))):
            account, equals, key = given.rpartition("=")
            key = WriteKey().deserialize(key.strip())
            if len(key) < MIN_TOKEN:
                raise ValidationError(f"needs at least {MIN_TOKEN} characters in each write key.")
            if key in accounts:
                raise ValidationError("names a write key twice.")
            accounts[key] = AccountId().deserialize(account) if equals else ""
        return accounts


class CampaignId(fields.Field[str]):
    """The id of an Email Series campaign. It becomes part of a URL."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        if not re.fullmatch(r"[0-9A-Za-z_-]+", value.strip()):
            raise ValidationError("must be one id: that in the address of the campaign's page.")
        return value.strip()


class ConsentCategories(fields.Field[tuple[str, ...]]):
    """Ids of consent categories, separated by commas. Upper and lower case differ."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> tuple[str, ...]:
        categories = tuple(filter(None, map(str.strip, value.split(","))))
        if not categories:
            raise ValidationError("must be the ids of categories, with commas between them.")
        return categories


class Provider(fields.String):
    """The name of a shop, in lower snake case, as Drip asks for."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        name: str = super()._deserialize(value, *args, **kwargs)
        if not re.fullmatch(r"[a-z0-9]+(?:_[a-z0-9]+)*", name, re.ASCII):
            raise ValidationError("must be lower-case letters, digits and _, such as my_store.")
        return name


class MappingName(fields.String):
    """The name of a preset of mappings, or the path of a file. The direction to Drip reads it."""
