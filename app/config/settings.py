"""Environment → frozen `Settings`; every fault is told at once, each with its variable."""

import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, validates_schema
from sqlalchemy.engine import URL, make_url

from app.config.environment import read_environment
from app.config.fields import (
    REGION_HOSTS,
    SHORTEST_TOKEN,
    AccountId,
    AccountTokens,
    Choice,
    Database,
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
from app.config.listening import DEFAULT_PORT, everywhere, on_this_machine
from app.errors import ConfigError

TOKEN_FILE = "bridge.token"  # noqa: S105 - a file's name
PASSWORD_FILE = "inspector.password"  # noqa: S105 - a file's name

PLATFORM = frozenset({"DYNO", "PORT"})
"""In the process's own environment they say that a platform runs us. A `.env` may hold PORT too, as
whoever runs us on a machine of their own writes it: that makes no platform."""

PREFIXES = ("SEGMENT_", "DRIP_", "INSPECTOR_", "ALERT_", "METRICS_")
"""A variable that begins so is meant for the bridge."""

NOBODY_FILLED_IN = re.compile(r"\$\(.+\)|\$\{.+\}|^`.+`$|openssl rand|^your-[a-z-]+$")
"""A command as it was written, or a word of the docs. (Segment answers 200 to any write key.)"""

LEAST_DAYS = 4
"""Drip sends an event again for up to 3 days: so long it has to be known (docs/facts.md § 1)."""


@dataclass(frozen=True)
class Settings:
    """What an operator can set, read and checked."""

    database_url: URL = field(repr=False)
    webhook_tokens: tuple[str, ...] = field(repr=False)
    segment_host: str
    account_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further tokens, each of which may post the events of one Drip account: token → account id."""
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
    """Whether the password was made up here, so that a link logs in too."""
    metrics_token: str | None = field(default=None, repr=False)
    bind: tuple[str, ...] = on_this_machine(DEFAULT_PORT)
    """Where gunicorn listens."""
    workers: int = 1
    """How many web processes gunicorn has."""
    unknown: tuple[str, ...] = ()
    """Variables that look like settings of the bridge, and are none."""
    trusted_proxies: int | None = None
    """How many proxies in front append to X-Forwarded-For; None where nobody said."""

    @property
    def all_tokens(self) -> dict[str, str]:
        """Each token's Drip account; "" for those that may post any account's events."""
        return {**dict.fromkeys(self.webhook_tokens, ""), **self.account_tokens}

    def tokens_for(self, account: str | None) -> tuple[str, ...]:
        """The tokens that may post this account's events, its own first."""
        own = (token for token, whose in self.account_tokens.items() if whose == account)
        return (*own, *self.webhook_tokens)


def load_settings() -> Settings:
    """Read the environment over `.env`; where no platform runs us, make up secrets and keep them.

    Raises `ConfigError`, naming every variable at fault.
    """
    environment = read_environment(KNOWN | PLATFORM)
    given = environment.all
    by_platform = PLATFORM & environment.process.keys()
    if "DYNO" not in by_platform:
        given.pop("DYNO", None)  # a `.env` makes no dyno
    if not by_platform:
        _make_up(given, "DRIP_WEBHOOK_TOKEN", Path(TOKEN_FILE))
    made_up = not by_platform and _make_up(given, "INSPECTOR_PASSWORD", Path(PASSWORD_FILE))
    settings = environ_to_settings(given)
    _must_keep_its_log(settings.database_url)
    if "PORT" in by_platform:
        settings = replace(settings, bind=everywhere(int(given["PORT"])))
    return replace(settings, inspector_link=made_up)


def _make_up(given: dict[str, str], variable: str, path: Path) -> bool:
    """Give the variable the secret in the file if it has no value. Whether it had none."""
    if variable in given:
        return False
    try:
        given[variable] = local_secret(path)
    except UnicodeDecodeError:
        problem = "it is not text"
    except OSError as error:
        problem = error.strerror or type(error).__name__
    else:
        return True
    raise ConfigError(
        f"{variable} is not set, and the one in {path} cannot be read, or made up and "
        f"kept there: {problem}. Mend that, or set {variable}."
    )


def _must_keep_its_log(database: URL) -> None:
    """Raises `ConfigError` for an SQLite file without a folder that lasts as long as itself."""
    file = database.database or ""
    if database.drivername == "sqlite" and os.path.ismount(file):
        raise ConfigError(
            f"DATABASE_URL names a file that is mounted alone. Its newest events are in "
            f"{Path(file).name}-wal beside it, and would be lost with the container. Mount the "
            "folder of the file."
        )


def environ_to_settings(environ: Mapping[str, str]) -> Settings:
    """Raises `ConfigError`, naming every variable at fault with an example of a right one."""
    try:
        found = _Environ().load(dict(environ))
    except ValidationError as error:
        raise ConfigError(_faults_to_text(error.messages_dict)) from None
    return Settings(
        database_url=found["DATABASE_URL"],
        webhook_tokens=found.get("DRIP_WEBHOOK_TOKEN", ()),
        account_tokens=found["DRIP_WEBHOOK_TOKENS"],
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
        metrics_token=found["METRICS_TOKEN"],
        bind=on_this_machine(found["PORT"]),
        workers=found["WEB_CONCURRENCY"],
        unknown=_unknown(environ),
        trusted_proxies=found["TRUSTED_PROXIES"] and int(found["TRUSTED_PROXIES"]),
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
    DRIP_API_TOKEN = Secret(load_default=None, metadata={"example": "0a1b2c…"})
    DRIP_ACCOUNT_ID = AccountId(load_default=None, metadata={"example": "9999999"})
    INSPECTOR_PASSWORD = Password(
        load_default=None, metadata={"example": "(what this prints: openssl rand -hex 16)"}
    )
    METRICS_TOKEN = Secret(
        SHORTEST_TOKEN,
        load_default=None,
        metadata={"example": "(what this prints: openssl rand -hex 24)"},
    )
    PORT = Whole(1, 65535, load_default=DEFAULT_PORT, metadata={"example": "8000"})
    TRUSTED_PROXIES = Choice(*"012345", load_default=None, metadata={"example": "1"})
    WEB_CONCURRENCY = Whole(1, 100, load_default=1, metadata={"example": "2"})

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _are_filled_in(self, _: Any, given: Mapping[str, str], **__: Any) -> None:
        faults = {
            name: ["is still to be filled in. (A .env file runs no commands.)"]
            for name in self.fields.keys() & given.keys()
            if NOBODY_FILLED_IN.search(given[name].strip())
        }
        if faults:
            raise ValidationError(faults)

    @validates_schema(skip_on_field_errors=False)
    def _keep_it_private(self, found: Any, **_: Any) -> None:
        host = found.get("SEGMENT_HOST")
        if host and not is_private(host) and not found.get("SEGMENT_HOST_INSECURE"):
            raise ValidationError(
                "must start with https:// (http:// on loopback only). In a private network, if "
                "everybody in it may read the events: SEGMENT_HOST_INSECURE=true.",
                "SEGMENT_HOST",
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

    @validates_schema(skip_on_field_errors=False)
    def _are_of_one_kind(self, found: Any, **_: Any) -> None:
        both = {*found.get("DRIP_WEBHOOK_TOKEN", ())} & {*found.get("DRIP_WEBHOOK_TOKENS", ())}
        if both:
            raise ValidationError(
                "names a token of DRIP_WEBHOOK_TOKEN, which may post any account's events.",
                "DRIP_WEBHOOK_TOKENS",
            )


KNOWN = frozenset(_Environ().fields)
"""What can be set."""


def _unknown(environ: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in environ.keys() - KNOWN if name.startswith(PREFIXES)))


def _faults_to_text(faults: Mapping[str, Any]) -> str:
    lines = ["The bridge cannot start with these settings:"]
    for name, problems in sorted(faults.items()):
        example = _Environ().fields[name].metadata["example"]
        lines += [f"  {name} {problem} Example: {name}={example}" for problem in problems]
    return "\n".join(lines)
