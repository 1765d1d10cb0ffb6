"""Read the environment into frozen `Settings`, and report every error in it at once."""

import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from marshmallow import ValidationError
from sqlalchemy.engine import URL

from app.config.environment import Environment, read_environment
from app.config.fields import REGION_HOSTS
from app.config.listening import DEFAULT_PORT, all_interfaces, is_on_platform, loopback, port_of
from app.config.schema import DRIP_API, KNOWN, EnvironSchema, errors_to_text
from app.config.shown import ShownSetting, shown_settings
from app.errors import ConfigError

TOKEN_FILE = "bridge.token"  # noqa: S105 - a file's name
PASSWORD_FILE = "inspector.password"  # noqa: S105 - a file's name

PREFIXES = ("SEGMENT_", "DRIP_", "TRACKING_", "INSPECTOR_", "ALERT_", "METRICS_", "WAREHOUSE_")
"""How variables begin that are meant for the bridge."""


@dataclass(frozen=True)
class Settings:
    """All that an operator can set, already checked."""

    database_url: URL = field(repr=False)
    webhook_tokens: tuple[str, ...] = field(repr=False)
    segment_host: str
    account_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Token → Drip account id: further tokens, each of which may post one account's events only."""
    write_key: str | None = field(default=None, repr=False)
    """The write key of every Drip account without one of its own."""
    write_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Drip account id → write key."""
    deliver_in_web: bool = True
    sent_retention_days: float = 7
    failed_retention_days: float = 30
    """How long dead and quarantined events are kept."""
    log_level: str = "info"
    log_format: str = "auto"
    """"pretty", "logfmt", "json", or "auto": pretty on a terminal and logfmt elsewhere."""
    alert_webhook_url: str | None = field(default=None, repr=False)
    alert_silence_hours: float | None = None
    """Alert if no webhook came for so long."""
    drip_api_token: str | None = field(default=None, repr=False)
    drip_account_id: str | None = None
    segment_webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    """With which Segment signs what it posts."""
    tracking_write_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Write key of Segment's SDKs → Drip account id, or "" for `drip_account_id`."""
    drip_api_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Drip account id → API token, for the accounts that have one of their own."""
    drip_api_url: str = DRIP_API
    drip_mapping: str = "bridge"
    drip_initial_status: str = "unsubscribed"
    """Of people who are new to Drip: "unsubscribed", "active", or "none" to send none."""
    drip_value_unit: str = "cents"
    """What an event's property `value` is in: "cents" or "major" units."""
    drip_track_email: str = "context"
    """Which address of a track call comes first: that of the "context" or of its "properties"."""
    drip_allow_resubscribe: bool = False
    """Whether a trait `status: active` re-subscribes people by itself."""
    drip_campaign_id: str | None = None
    """The Email Series to which everybody who is identified is subscribed."""
    drip_double_optin: bool | None = None
    """Whether that asks for a confirmation. None leaves it to the series."""
    drip_hold_hours: float = 24
    """How long a call waits for the address of its person."""
    drip_requests_per_hour: int = 3600
    drip_batches_per_hour: int = 50
    drip_batch_settle: float = 10
    """Minutes after a batch in which the people in it get no other request."""
    drip_skip_device_mode: bool = False
    """Whether to ignore what the browser says that it sent to Drip by itself."""
    drip_orders: bool = False
    drip_order_provider: str = "segment"
    drip_audiences: str = "fields"
    drip_delete: str = "ignore"
    drip_change_address: bool = False
    """Whether a user who is identified with another address has changed it."""
    drip_consent_categories: tuple[str, ...] = ()
    """Without the consent to all of these a call is ignored."""
    warehouse_url: URL | None = field(default=None, repr=False)
    """Where kept events are loaded into. None for nowhere."""
    warehouse_schema: str = "drip"
    warehouse_every: float | None = None
    """Seconds between two loads. None leaves them to the operator's own schedule."""
    warehouse_destination: bool = False
    """Whether calls to Drip are loaded too."""
    inspector_password: str | None = field(default=None, repr=False)
    """None turns the inspector off."""
    inspector_link: bool = False
    """Whether a link logs in too, because the password was generated."""
    metrics_token: str | None = field(default=None, repr=False)
    public_url: str | None = None
    """Scheme and host at which the bridge is reached from the internet."""
    bind: tuple[str, ...] = loopback(DEFAULT_PORT)
    """Addresses that gunicorn listens on."""
    workers: int = 1
    """How many web processes gunicorn starts."""
    unknown: tuple[str, ...] = ()
    """Variables that look like settings of the bridge, but are not."""
    trusted_proxies: int | None = None
    """How many proxies in front append to X-Forwarded-For. None if it is not set."""
    shown: tuple[ShownSetting, ...] = ()
    """Every setting as a page may show it."""

    @property
    def all_tokens(self) -> dict[str, str]:
        """Each token with its Drip account, which is "" if it may post any account's events."""
        return {**dict.fromkeys(self.webhook_tokens, ""), **self.account_tokens}

    @property
    def is_segment_to_drip_on(self) -> bool:
        """Whether anything may post for Drip: Segment's webhook or its SDKs."""
        return bool(self.segment_webhook_secrets or self.tracking_write_keys)

    def tokens_for(self, account: str | None) -> tuple[str, ...]:
        """Return the tokens that may post this account's events, its own first."""
        own = (token for token, owner in self.account_tokens.items() if owner == account)
        return (*own, *self.webhook_tokens)


def load_settings() -> Settings:
    """Read the settings from the environment and from `.env`, which counts less.

    Unless a platform runs the bridge, missing secrets are generated and kept in files. Raises
    `ConfigError`, naming every variable that is wrong.
    """
    environment = read_variables()
    variables = environment.all
    is_generated = False
    if not (on_platform := is_on_platform(environment.process, environment.file)):
        _generate_if_missing(variables, "DRIP_WEBHOOK_TOKEN", Path(TOKEN_FILE))
        is_generated = _generate_if_missing(variables, "INSPECTOR_PASSWORD", Path(PASSWORD_FILE))
    settings = environ_to_settings(variables)
    _check_folder_is_kept(settings.database_url)
    if on_platform:
        settings = replace(settings, bind=all_interfaces(port_of(settings.bind)))
    shown = shown_settings(environment, variables)
    return replace(settings, inspector_link=is_generated, shown=shown)


def read_variables() -> Environment:
    """Read the variables. A DYNO in `.env` does not count: only Heroku itself sets it."""
    environment = read_environment(KNOWN | {"DYNO"})
    file = {name: value for name, value in environment.file.items() if name != "DYNO"}
    return replace(environment, file=file)


def _generate_if_missing(variables: dict[str, str], variable: str, path: Path) -> bool:
    """Give a variable without a value the secret in the file. Return whether it had none."""
    if variable in variables:
        return False
    try:
        variables[variable] = local_secret(path)
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


def _check_folder_is_kept(database: URL) -> None:
    """Raise `ConfigError` if an SQLite file is mounted without its folder, which holds its log."""
    file = database.database or ""
    if database.drivername == "sqlite" and os.path.ismount(file):
        raise ConfigError(
            f"DATABASE_URL names a file that is mounted alone. Its newest events are in "
            f"{Path(file).name}-wal beside it, and would be lost with the container. Mount the "
            "folder of the file."
        )


def environ_to_settings(environ: Mapping[str, str]) -> Settings:
    """Check the variables and convert them.

    Raises `ConfigError`, naming every variable that is wrong, with an example of a right value.
    """
    try:
        values = EnvironSchema().load(dict(environ))
    except ValidationError as error:
        raise ConfigError(errors_to_text(error.messages_dict)) from None
    return Settings(
        database_url=values["DATABASE_URL"],
        webhook_tokens=values.get("DRIP_WEBHOOK_TOKEN", ()),
        account_tokens=values["DRIP_WEBHOOK_TOKENS"],
        segment_host=values.get("SEGMENT_HOST") or REGION_HOSTS[values["SEGMENT_REGION"]],
        write_key=values["SEGMENT_WRITE_KEY"],
        write_keys=values["SEGMENT_WRITE_KEYS"],
        deliver_in_web=values["DELIVER_IN_WEB"],
        sent_retention_days=values["SENT_RETENTION_DAYS"],
        failed_retention_days=values["FAILED_RETENTION_DAYS"],
        log_level=values["LOG_LEVEL"],
        log_format=values["LOG_FORMAT"],
        alert_webhook_url=values["ALERT_WEBHOOK_URL"],
        alert_silence_hours=values["ALERT_SILENCE_HOURS"],
        drip_api_token=values["DRIP_API_TOKEN"],
        drip_account_id=values["DRIP_ACCOUNT_ID"],
        segment_webhook_secrets=values["SEGMENT_WEBHOOK_SECRET"],
        tracking_write_keys=values["TRACKING_WRITE_KEYS"],
        drip_api_tokens=values["DRIP_API_TOKENS"],
        drip_api_url=values["DRIP_API_URL"],
        drip_mapping=values["DRIP_MAPPING"],
        drip_initial_status=values["DRIP_INITIAL_STATUS"]
        or _initial_status(values["DRIP_MAPPING"]),
        drip_value_unit=values["DRIP_VALUE_UNIT"],
        drip_track_email=values["DRIP_TRACK_EMAIL"],
        drip_allow_resubscribe=values["DRIP_ALLOW_RESUBSCRIBE"],
        drip_campaign_id=values["DRIP_CAMPAIGN_ID"],
        drip_double_optin=values["DRIP_DOUBLE_OPTIN"],
        drip_hold_hours=values["DRIP_HOLD_HOURS"],
        drip_requests_per_hour=values["DRIP_REQUESTS_PER_HOUR"],
        drip_batches_per_hour=values["DRIP_BATCHES_PER_HOUR"],
        drip_batch_settle=values["DRIP_BATCH_SETTLE"],
        drip_skip_device_mode=values["DRIP_SKIP_DEVICE_MODE"],
        drip_orders=values["DRIP_ORDERS"],
        drip_order_provider=values["DRIP_ORDER_PROVIDER"],
        drip_audiences=values["DRIP_AUDIENCES"],
        drip_delete=values["DRIP_DELETE"],
        drip_change_address=values["DRIP_CHANGE_ADDRESS"],
        drip_consent_categories=values["DRIP_CONSENT_CATEGORY"],
        warehouse_url=values["WAREHOUSE_URL"],
        warehouse_schema=values["WAREHOUSE_SCHEMA"],
        warehouse_every=values["WAREHOUSE_EVERY"],
        warehouse_destination=values["WAREHOUSE_DESTINATION"],
        inspector_password=values["INSPECTOR_PASSWORD"],
        metrics_token=values["METRICS_TOKEN"],
        public_url=values["PUBLIC_URL"],
        bind=loopback(values["PORT"]),
        workers=values["WEB_CONCURRENCY"],
        unknown=_unknown(environ),
        trusted_proxies=values["TRUSTED_PROXIES"] and int(values["TRUSTED_PROXIES"]),
    )


def _initial_status(mapping: str) -> str:
    """The status of new people under these mappings. Segment's classic destination sent none."""
    return "none" if mapping == "classic" else "unsubscribed"


def local_secret(path: Path) -> str:
    """Return the secret in the file, and generate it on first use.

    Processes that start at the same time agree on one, because only the first can link its file.
    """
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name) as draft:
            draft.write(new_secret())
            draft.flush()
            with suppress(FileExistsError):  # another process was first
                os.link(draft.name, path)
    return path.read_text().strip()


def new_secret() -> str:
    """Generate a secret that can be part of a URL and of a `.env` file as it is."""
    return secrets.token_urlsafe(24)


def _unknown(environ: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in environ.keys() - KNOWN if name.startswith(PREFIXES)))
