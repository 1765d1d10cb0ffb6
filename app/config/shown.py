"""What a page may show of each setting: where it was set, and its value unless that is a secret."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow.fields import Field
from sqlalchemy.engine import URL

from app.config.database_url import Database
from app.config.drip_fields import CampaignId, ConsentCategories, MappingName, Provider
from app.config.environment import ENV_FILE, Environment
from app.config.fields import AccountId, Choice, Host, Number, Whole, YesNo
from app.config.schema import EnvironSchema
from app.config.warehouse_fields import WarehouseUrl

OPEN = (
    *(AccountId, CampaignId, Choice, ConsentCategories, Host),
    *(MappingName, Number, Provider, Whole, YesNo),
)
"""The kinds of settings whose values are no secret. Of any other a page shows only that it is
set."""


@dataclass(frozen=True)
class ShownSetting:
    """One setting as the bridge read it."""

    name: str
    value: str
    source: str


def shown_settings(
    environment: Environment, variables: Mapping[str, str]
) -> tuple[ShownSetting, ...]:
    """Every setting, by name. `variables` are the valid ones that the bridge started with: those of
    the environment, and secrets that it generated itself."""
    return tuple(_show(environment, variables))


def _show(environment: Environment, variables: Mapping[str, str]) -> Iterator[ShownSetting]:
    schema = EnvironSchema()
    values = schema.load(dict(variables))
    for name, field in sorted(schema.fields.items()):
        yield ShownSetting(
            name, _value(field, values.get(name)), _source(name, environment, variables)
        )


def _source(name: str, environment: Environment, variables: Mapping[str, str]) -> str:
    if name in environment.process:
        return "environment"
    if name in environment.file:
        return ENV_FILE
    return "generated" if name in variables else "default"


def _value(field: Field[Any], value: Any) -> str:
    if value is None or value == () or value == {}:
        return "not set"
    if isinstance(field, Database | WarehouseUrl):
        return _without_password(value)
    if not isinstance(field, OPEN):
        return "set"
    if isinstance(field, YesNo):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _without_password(url: URL) -> str:
    """The URL without password and parameters, which may have one too."""
    shown = URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database)
    return shown.render_as_string()
