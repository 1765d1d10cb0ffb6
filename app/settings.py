"""Environment → frozen `Settings`; every fault is told at once, each with its variable."""

import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from marshmallow import EXCLUDE, Schema, ValidationError, validates_schema
from sqlalchemy.engine import URL, make_url

from app.errors import CannotStart
from app.setting_fields import (
    REGION_HOSTS,
    AccountId,
    Choice,
    Database,
    Host,
    Number,
    Password,
    Secret,
    SecretUrl,
    Tokens,
    WriteKey,
    WriteKeys,
    YesNo,
)

TOKEN_FILE = "bridge.token"  # noqa: S105 - a file's name
PASSWORD_FILE = "inspector.password"  # noqa: S105 - a file's name

LEAST_DAYS = 4
"""Drip sends an event again for up to 3 days: so long it has to be known (docs/facts.md § 1)."""


@dataclass(frozen=True)
class Settings:
    """What an operator can set, read and checked."""

    database_url: URL
    webhook_tokens: tuple[str, ...] = field(repr=False)
    segment_host: str
    write_key: str | None = field(default=None, repr=False)
    """For every Drip account without a key of its own."""
    write_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Drip account id → write key."""
    deliver_in_web: bool = True
    sent_retention_days: float = 7
    failed_retention_days: float = 30
    """For dead and quarantined events."""
    log_level: str = "info"
    log_format: str = "auto"
    """"pretty", "logfmt" or "json"; "auto" is pretty on a terminal and logfmt elsewhere."""
    alert_webhook_url: str | None = field(default=None, repr=False)
    alert_silence_hours: float | None = None
    """Without a webhook for so long, an alert."""
    drip_api_token: str | None = field(default=None, repr=False)
    drip_account_id: str | None = None
    inspector_password: str | None = field(default=None, repr=False)
    """None: the inspector is off."""
    inspector_link: bool = False
    """Whether the password was made up here, and so may stand in a link."""


def load_settings() -> Settings:
    """Read the environment over `.env`; where no platform runs us, make up secrets and keep them.

    Raises `CannotStart`, naming every variable at fault.
    """
    environ = {**dotenv_values(".env"), **os.environ}
    given = {name: value for name, value in environ.items() if value and value.strip()}
    if not given.keys() & {"DRIP_WEBHOOK_TOKEN", "DYNO", "PORT"}:
        given["DRIP_WEBHOOK_TOKEN"] = local_secret(Path(TOKEN_FILE))
    made_up = not given.keys() & {"INSPECTOR_PASSWORD", "DYNO", "PORT"}
    if made_up:
        given["INSPECTOR_PASSWORD"] = local_secret(Path(PASSWORD_FILE))
    return replace(environ_to_settings(given), inspector_link=made_up)


def environ_to_settings(environ: Mapping[str, str]) -> Settings:
    """Raises `CannotStart`, naming every variable at fault with an example of a right one."""
    try:
        found = _Environ().load(dict(environ))
    except ValidationError as error:
        raise CannotStart(_faults_to_text(error.messages_dict)) from None
    return Settings(
        database_url=found["DATABASE_URL"],
        webhook_tokens=found.get("DRIP_WEBHOOK_TOKEN", ()),
        segment_host=found.get("SEGMENT_HOST") or REGION_HOSTS[found["SEGMENT_REGION"]],
        write_key=found["SEGMENT_WRITE_KEY"],
        write_keys=found["SEGMENT_WRITE_KEYS"],
        deliver_in_web=found["DELIVER_IN_WEB"],
        sent_retention_days=found["SENT_RETENTION_DAYS"],
        failed_retention_days=found["FAILED_RETENTION_DAYS"],
        log_level=found["LOG_LEVEL"],
        log_format=found["LOG_FORMAT"],
        alert_webhook_url=found["ALERT_WEBHOOK_URL"],
        alert_silence_hours=found["ALERT_SILENCE_HOURS"],
        drip_api_token=found["DRIP_API_TOKEN"],
        drip_account_id=found["DRIP_ACCOUNT_ID"],
        inspector_password=found["INSPECTOR_PASSWORD"],
    )


def local_secret(path: Path) -> str:
    """The secret in the file, made on first use; processes that start together agree on one."""
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name) as draft:
            draft.write(secrets.token_urlsafe(24))
            draft.flush()
            with suppress(FileExistsError):  # another process was first: its secret counts
                os.link(draft.name, path)
    return path.read_text().strip()


class _Environ(Schema):
    class Meta:
        unknown = EXCLUDE

    SEGMENT_WRITE_KEY = WriteKey(load_default=None, metadata={"example": "h1XJ…"})
    SEGMENT_WRITE_KEYS = WriteKeys(load_default=dict, metadata={"example": "4417=h1XJ…,5150=Qz0e…"})
    SEGMENT_REGION = Choice(*REGION_HOSTS, load_default="us", metadata={"example": "eu"})
    SEGMENT_HOST = Host(metadata={"example": REGION_HOSTS["eu"]})
    DRIP_WEBHOOK_TOKEN = Tokens(metadata={"example": "$(openssl rand -hex 24)"})
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
    DRIP_API_TOKEN = Secret(load_default=None, metadata={"example": "0a1b2c…"})
    DRIP_ACCOUNT_ID = AccountId(load_default=None, metadata={"example": "9999999"})
    INSPECTOR_PASSWORD = Password(
        load_default=None, metadata={"example": "$(openssl rand -hex 16)"}
    )

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _fit_the_platform(self, found: Any, given: Mapping[str, str], **_: Any) -> None:
        faults = {}
        if "DRIP_WEBHOOK_TOKEN" not in given:
            faults["DRIP_WEBHOOK_TOKEN"] = [
                "is required where DYNO or PORT is set: anyone could post events without it."
            ]
        database = found.get("DATABASE_URL")
        if "DYNO" in given and (
            "DATABASE_URL" not in given or (database and database.drivername == "sqlite")
        ):
            faults["DATABASE_URL"] = [
                "must name a PostgreSQL where DYNO is set: the dyno's own disk is wiped daily."
            ]
        if faults:
            raise ValidationError(faults)


def _faults_to_text(faults: Mapping[str, Any]) -> str:
    lines = ["The bridge cannot start with these settings:"]
    for name, problems in sorted(faults.items()):
        example = _Environ().fields[name].metadata["example"]
        lines += [f"  {name} {problem} Example: {name}={example}" for problem in problems]
    return "\n".join(lines)
