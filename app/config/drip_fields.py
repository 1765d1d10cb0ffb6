"""Marshmallow fields for what is set of Drip's API."""

import re
from typing import Any

from marshmallow import ValidationError, fields

from app.config.fields import AccountId, DripToken, read_pairs


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


class CampaignId(fields.Field[str]):
    """The id of an Email Series campaign. It becomes part of a URL."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        if not re.fullmatch(r"[0-9A-Za-z_-]+", value.strip()):
            raise ValidationError("must be one id: that in the address of the campaign's page.")
        return value.strip()
