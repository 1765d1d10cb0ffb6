"""The marshmallow schema of the environment: every variable, and how it is checked."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, validates_schema
from sqlalchemy.engine import URL, make_url

from app.config.database_url import Database
from app.config.drip_fields import (
    ApiTokens,
    CampaignId,
    ConsentCategories,
    MappingName,
    Provider,
    TrackingKeys,
)
from app.config.fields import (
    MIN_TOKEN,
    REGION_HOSTS,
    AccountId,
    AccountTokens,
    Choice,
    DripToken,
    Host,
    Number,
    Password,
    Secret,
    SecretUrl,
    Tokens,
    Whole,
    WriteKey,
    WriteKeys,
    YesNo,
    is_private,
)
from app.config.listening import DEFAULT_PORT
from app.config.warehouse_fields import Duration, SchemaName, WarehouseUrl

PLACEHOLDER = re.compile(
    r"\$\(.+\)|\$\{.+\}|^`.+`$|openssl rand"  # a shell command that was not run
    r"|…|(^|[=,])your-[a-z-]+(,|$)|^9999999$|//user:password@|//bridge\.example\.com"
)
"""A value that is still to be filled in, as the examples of the docs and of messages are. Segment
answers 200 to any write key, so a wrong one would not be noticed."""

DRIP_API = "https://api.getdrip.com"

LEAST_DAYS = 4
"""Drip sends an event again for up to 3 days, so events are kept for longer
(docs/development/facts.md § 1)."""


class EnvironSchema(Schema):
    """Every variable that can be set, with an example of a right value."""

    class Meta:
        unknown = EXCLUDE

    SEGMENT_WRITE_KEY = WriteKey(load_default=None, metadata={"example": "h1XJ…"})
    SEGMENT_WRITE_KEYS = WriteKeys(load_default=dict, metadata={"example": "4417=h1XJ…,5150=Qz0e…"})
    SEGMENT_REGION = Choice(*REGION_HOSTS, load_default="us", metadata={"example": "eu"})
    SEGMENT_HOST = Host(may_be_http=True, metadata={"example": REGION_HOSTS["eu"]})
    SEGMENT_HOST_INSECURE = YesNo(load_default=False, metadata={"example": "true"})
    DRIP_WEBHOOK_TOKEN = Tokens(metadata={"example": "(what this prints: openssl rand -hex 24)"})
    DRIP_WEBHOOK_TOKENS = AccountTokens(
        load_default=dict, metadata={"example": "4417=(what this prints: openssl rand -hex 24)"}
    )
    DATABASE_URL = Database(
        load_default=make_url("sqlite:///bridge.db"),
        metadata={"example": "postgres://user:password@db.example.com:5432/bridge"},
    )
    DELIVER_IN_WEB = YesNo(load_default=True, metadata={"example": "false"})
    SENT_RETENTION_DAYS = Number(LEAST_DAYS, load_default=7.0, metadata={"example": "7"})
    FAILED_RETENTION_DAYS = Number(LEAST_DAYS, load_default=30.0, metadata={"example": "30"})
    LOG_LEVEL = Choice(
        "debug", "info", "warning", "error", load_default="info", metadata={"example": "warning"}
    )
    LOG_FORMAT = Choice(
        "auto", "pretty", "logfmt", "json", load_default="auto", metadata={"example": "json"}
    )
    ALERT_WEBHOOK_URL = SecretUrl(
        load_default=None, metadata={"example": "https://hooks.slack.com/services/…"}
    )
    ALERT_SILENCE_HOURS = Number(0.1, load_default=None, metadata={"example": "24"})
    DRIP_API_TOKEN = DripToken(load_default=None, metadata={"example": "0a1b2c…"})
    DRIP_ACCOUNT_ID = AccountId(load_default=None, metadata={"example": "9999999"})
    SEGMENT_WEBHOOK_SECRET = Tokens(
        load_default=(), metadata={"example": "(what this prints: openssl rand -hex 24)"}
    )
    TRACKING_WRITE_KEYS = TrackingKeys(
        load_default=dict,
        metadata={"example": "(what this prints: openssl rand -hex 16)"},
    )
    DRIP_API_TOKENS = ApiTokens(
        load_default=dict, metadata={"example": "4417=0a1b2c…,5150=3d4e5f…"}
    )
    DRIP_API_URL = Host(load_default=DRIP_API, metadata={"example": DRIP_API})
    DRIP_MAPPING = MappingName(load_default="bridge", metadata={"example": "classic"})
    DRIP_INITIAL_STATUS = Choice(
        *("unsubscribed", "active", "none"),
        load_default=None,
        metadata={"example": "active"},
    )
    DRIP_VALUE_UNIT = Choice("cents", "major", load_default="cents", metadata={"example": "major"})
    DRIP_TRACK_EMAIL = Choice(
        "context", "properties", load_default="context", metadata={"example": "properties"}
    )
    DRIP_ALLOW_RESUBSCRIBE = YesNo(load_default=False, metadata={"example": "true"})
    DRIP_CAMPAIGN_ID = CampaignId(load_default=None, metadata={"example": "9999999"})
    DRIP_DOUBLE_OPTIN = YesNo(load_default=None, metadata={"example": "true"})
    DRIP_HOLD_HOURS = Number(0, load_default=24.0, metadata={"example": "24"})
    DRIP_REQUESTS_PER_HOUR = Whole(1, 1_000_000, load_default=3600, metadata={"example": "3600"})
    DRIP_BATCHES_PER_HOUR = Whole(1, 1_000_000, load_default=50, metadata={"example": "50"})
    DRIP_BATCH_SETTLE = Number(0, load_default=10.0, metadata={"example": "10"})
    DRIP_SKIP_DEVICE_MODE = YesNo(load_default=False, metadata={"example": "true"})
    DRIP_ORDERS = YesNo(load_default=False, metadata={"example": "true"})
    DRIP_ORDER_PROVIDER = Provider(load_default="segment", metadata={"example": "my_store"})
    DRIP_AUDIENCES = Choice(
        *("fields", "tags", "both"), load_default="fields", metadata={"example": "tags"}
    )
    DRIP_DELETE = Choice(
        *("ignore", "unsubscribe", "delete"),
        load_default="ignore",
        metadata={"example": "unsubscribe"},
    )
    DRIP_CHANGE_ADDRESS = YesNo(load_default=False, metadata={"example": "true"})
    DRIP_CONSENT_CATEGORY = ConsentCategories(load_default=(), metadata={"example": "Marketing"})
    INSPECTOR_PASSWORD = Password(
        load_default=None, metadata={"example": "(what this prints: openssl rand -hex 16)"}
    )
    METRICS_TOKEN = Secret(
        MIN_TOKEN,
        load_default=None,
        metadata={"example": "(what this prints: openssl rand -hex 24)"},
    )
    PUBLIC_URL = Host(load_default=None, metadata={"example": "https://bridge.example.com"})
    PORT = Whole(1, 65535, load_default=DEFAULT_PORT, metadata={"example": "8000"})
    TRUSTED_PROXIES = Choice(*"012345", load_default=None, metadata={"example": "1"})
    WEB_CONCURRENCY = Whole(1, 100, load_default=1, metadata={"example": "2"})

    WAREHOUSE_URL = WarehouseUrl(
        load_default=None, metadata={"example": "duckdb:///warehouse.duckdb"}
    )
    WAREHOUSE_SCHEMA = SchemaName(load_default="drip", metadata={"example": "drip"})
    WAREHOUSE_EVERY = Duration(load_default=None, metadata={"example": "10m"})
    WAREHOUSE_DESTINATION = YesNo(load_default=False, metadata={"example": "true"})

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_placeholders(self, _: Any, environ: Mapping[str, str], **__: Any) -> None:
        errors = {
            name: ["is still to be filled in. (A .env file runs no commands.)"]
            for name in self.fields.keys() & environ.keys()
            if PLACEHOLDER.search(environ[name].strip())
        }
        if errors:
            raise ValidationError(errors)

    @validates_schema(skip_on_field_errors=False)
    def _check_segment_host(self, values: Any, **_: Any) -> None:
        host = values.get("SEGMENT_HOST")
        if host and not is_private(host) and not values.get("SEGMENT_HOST_INSECURE"):
            raise ValidationError(
                "must start with https:// (http:// on loopback only). In a private network, if "
                "everybody in it may read the events: SEGMENT_HOST_INSECURE=true.",
                "SEGMENT_HOST",
            )

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_platform_needs(self, values: Any, environ: Mapping[str, str], **_: Any) -> None:
        errors = {}
        if "DRIP_WEBHOOK_TOKEN" not in environ:
            errors["DRIP_WEBHOOK_TOKEN"] = [
                "is required if DYNO is set: anyone could post events without it."
            ]
        database = values.get("DATABASE_URL")
        if "DYNO" in environ and (
            "DATABASE_URL" not in environ or (database and database.drivername == "sqlite")
        ):
            errors["DATABASE_URL"] = [
                "must name a PostgreSQL if DYNO is set: the dyno's own disk is wiped daily."
            ]
        if errors:
            raise ValidationError(errors)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_warehouse(self, values: Any, environ: Mapping[str, str], **_: Any) -> None:
        url: URL | None = values.get("WAREHOUSE_URL")
        if url is None or url.drivername != "duckdb":
            return
        if "DYNO" in environ:
            raise ValidationError(
                "must not name a file if DYNO is set: the dyno's own disk is wiped daily.",
                "WAREHOUSE_URL",
            )
        if Path(url.database or "").stem == values.get("WAREHOUSE_SCHEMA"):
            raise ValidationError(
                "must not have the name of the file: DuckDB would not tell them apart.",
                "WAREHOUSE_SCHEMA",
            )

    @validates_schema(skip_on_field_errors=False)
    def _check_tokens_differ(self, values: Any, **_: Any) -> None:
        in_both = {*values.get("DRIP_WEBHOOK_TOKEN", ())} & {*values.get("DRIP_WEBHOOK_TOKENS", ())}
        if in_both:
            raise ValidationError(
                "names a token of DRIP_WEBHOOK_TOKEN, which may post any account's events.",
                "DRIP_WEBHOOK_TOKENS",
            )


KNOWN = frozenset(EnvironSchema().fields)
"""The names of all variables that can be set."""


def errors_to_text(errors: Mapping[str, Any]) -> str:
    """Format validation errors as a line for each, with an example of a right value."""
    lines = ["The bridge cannot start with these settings:"]
    for name, problems in sorted(errors.items()):
        example = EnvironSchema().fields[name].metadata["example"]
        lines += [f"  {name} {problem} Example: {name}={example}" for problem in problems]
    return "\n".join(lines)
