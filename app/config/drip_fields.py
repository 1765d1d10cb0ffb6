"""Marshmallow fields for what is set of Drip's API."""

import re
from typing import Any

from marshmallow import ValidationError, fields

from app.config.fields import AccountId, DripToken


class ApiTokens(fields.Field[dict[str, str]]):
    """Pairs of `account=token`, as a mapping of account to token."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> dict[str, str]:
        tokens: dict[str, str] = {}
        for pair in filter(None, map(str.strip, value.split(","))):
            account, equals, token = map(str.strip, pair.partition("="))
            if not (account and equals and token):
                raise ValidationError("must be pairs of account id and API token.")
            account = AccountId().deserialize(account)
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
