"""The environment → `Settings`, or every fault at once in words that an operator can act on."""

import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import URL, make_url

from app.config.settings import Settings, environ_to_settings, load_settings, local_secret
from app.errors import ConfigError

TOKEN = "sixteen-letters!"
ALERTS = "https://hooks.example.com/services/T0/B0/x"
POSTGRES = "postgres://bridge:a-password@db.example.com:5432/bridge"


def read(**environ: str) -> Settings:
    return environ_to_settings({"DRIP_WEBHOOK_TOKEN": TOKEN, **environ})


def faults(environ: Mapping[str, str]) -> dict[str, str]:
    """Variable → the line that tells what is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        environ_to_settings(environ)
    title, *lines = str(caught.value).splitlines()
    assert title == "The bridge cannot start with these settings:"
    assert all(line.startswith("  ") for line in lines)
    return {line.split()[0]: line for line in lines}


def test_a_token_is_all_that_has_to_be_set() -> None:
    settings = read()

    assert str(settings.database_url) == "sqlite:///bridge.db"
    assert settings.webhook_tokens == (TOKEN,)
    assert settings.segment_host == "https://api.segment.io"
    assert settings.write_key is None
    assert settings.write_keys == {}
    assert settings.deliver_in_web is True


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("SEGMENT_WRITE_KEY", " h1XJ ", "write_key", "h1XJ"),
        ("SEGMENT_WRITE_KEYS", "4417=h1XJ", "write_keys", {"4417": "h1XJ"}),
        (
            "SEGMENT_WRITE_KEYS",
            " 4417 = h1XJ , 5150=Qz0e, ",
            "write_keys",
            {"4417": "h1XJ", "5150": "Qz0e"},
        ),
        ("SEGMENT_REGION", "us", "segment_host", "https://api.segment.io"),
        ("SEGMENT_REGION", "eu", "segment_host", "https://events.eu1.segmentapis.com"),
        ("SEGMENT_REGION", " EU ", "segment_host", "https://events.eu1.segmentapis.com"),
        ("SEGMENT_HOST", "https://proxy.example.com", "segment_host", "https://proxy.example.com"),
        ("SEGMENT_HOST", "https://proxy.example.com/", "segment_host", "https://proxy.example.com"),
        ("SEGMENT_HOST", "https://10.0.0.1:8443", "segment_host", "https://10.0.0.1:8443"),
        ("SEGMENT_HOST", "http://127.0.0.1:9000", "segment_host", "http://127.0.0.1:9000"),
        ("SEGMENT_HOST", "http://127.8.8.8", "segment_host", "http://127.8.8.8"),
        ("SEGMENT_HOST", "http://[::1]:9000", "segment_host", "http://[::1]:9000"),
        ("SEGMENT_HOST", "http://localhost:9000", "segment_host", "http://localhost:9000"),
        ("DRIP_WEBHOOK_TOKEN", TOKEN, "webhook_tokens", (TOKEN,)),
        (
            "DRIP_WEBHOOK_TOKEN",
            f" the-old-token-of-us , {TOKEN},",
            "webhook_tokens",
            ("the-old-token-of-us", TOKEN),
        ),
        (
            "DRIP_WEBHOOK_TOKENS",
            "4417=the-token-of-4417, 5150 = the-token-of-5150,4417=a-new-token-of-4417",
            "account_tokens",
            {
                "the-token-of-4417": "4417",
                "the-token-of-5150": "5150",
                "a-new-token-of-4417": "4417",
            },
        ),
        ("DELIVER_IN_WEB", "true", "deliver_in_web", True),
        ("DELIVER_IN_WEB", "1", "deliver_in_web", True),
        ("DELIVER_IN_WEB", "false", "deliver_in_web", False),
        ("DELIVER_IN_WEB", "0", "deliver_in_web", False),
        ("DELIVER_IN_WEB", " No ", "deliver_in_web", False),
        ("SENT_RETENTION_DAYS", "4", "sent_retention_days", 4),
        ("SENT_RETENTION_DAYS", " 10.5 ", "sent_retention_days", 10.5),
        ("FAILED_RETENTION_DAYS", "90", "failed_retention_days", 90),
        ("LOG_LEVEL", "WARNING", "log_level", "warning"),
        ("LOG_FORMAT", "json", "log_format", "json"),
        ("ALERT_WEBHOOK_URL", ALERTS, "alert_webhook_url", ALERTS),
        ("ALERT_WEBHOOK_URL", "http://[::1]:9/x?y=z", "alert_webhook_url", "http://[::1]:9/x?y=z"),
        ("ALERT_SILENCE_HOURS", "0.5", "alert_silence_hours", 0.5),
        ("DRIP_API_TOKEN", " 0a1b ", "drip_api_token", "0a1b"),
        ("DRIP_API_TOKEN", "MGExYjo=", "drip_api_token", "0a1b"),  # "0a1b:" in base64
        (
            "DRIP_API_TOKENS",
            "4417=MGExYjo=,5150=x",
            "drip_api_tokens",
            {"4417": "0a1b", "5150": "x"},
        ),
        ("DRIP_ACCOUNT_ID", "4417123", "drip_account_id", "4417123"),
        ("INSPECTOR_PASSWORD", " twelve chars ", "inspector_password", "twelve chars"),
        ("METRICS_TOKEN", TOKEN, "metrics_token", TOKEN),
        ("SEGMENT_WEBHOOK_SECRET", TOKEN, "segment_webhook_secrets", (TOKEN,)),
        (
            "SEGMENT_WEBHOOK_SECRET",
            f" the-new-secret-of-us, {TOKEN} ",
            "segment_webhook_secrets",
            ("the-new-secret-of-us", TOKEN),
        ),
        (
            "TRACKING_WRITE_KEYS",
            f" {TOKEN} , 4417 = the-key-of-one-account,",
            "tracking_write_keys",
            {TOKEN: "", "the-key-of-one-account": "4417"},
        ),
        (
            "DRIP_API_TOKENS",
            " 4417 = 0a1b==, 5150=2c3d ,",
            "drip_api_tokens",
            {"4417": "0a1b==", "5150": "2c3d"},
        ),
        ("DRIP_API_URL", "https://drip.example.com/", "drip_api_url", "https://drip.example.com"),
        ("DRIP_API_URL", "http://127.0.0.1:9", "drip_api_url", "http://127.0.0.1:9"),
        ("DRIP_INITIAL_STATUS", "Active", "drip_initial_status", "active"),
        ("DRIP_INITIAL_STATUS", "none", "drip_initial_status", "none"),
        ("DRIP_VALUE_UNIT", "major", "drip_value_unit", "major"),
        ("DRIP_TRACK_EMAIL", "properties", "drip_track_email", "properties"),
        ("DRIP_ALLOW_RESUBSCRIBE", "yes", "drip_allow_resubscribe", True),
        ("DRIP_CAMPAIGN_ID", " 81048 ", "drip_campaign_id", "81048"),
        ("DRIP_DOUBLE_OPTIN", "true", "drip_double_optin", True),
        ("DRIP_DOUBLE_OPTIN", "false", "drip_double_optin", False),
        ("DRIP_HOLD_HOURS", "0.5", "drip_hold_hours", 0.5),
        ("DRIP_HOLD_HOURS", "0", "drip_hold_hours", 0),
        ("DRIP_REQUESTS_PER_HOUR", "7200", "drip_requests_per_hour", 7200),
        ("DRIP_BATCHES_PER_HOUR", "100", "drip_batches_per_hour", 100),
        ("DRIP_BATCH_SETTLE", "2.5", "drip_batch_settle", 2.5),
        ("DRIP_SKIP_DEVICE_MODE", "1", "drip_skip_device_mode", True),
        ("DRIP_ORDERS", "true", "drip_orders", True),
        ("DRIP_ORDER_PROVIDER", "my_store", "drip_order_provider", "my_store"),
        ("DRIP_AUDIENCES", "both", "drip_audiences", "both"),
        ("DRIP_DELETE", "Unsubscribe", "drip_delete", "unsubscribe"),
        ("DRIP_CHANGE_ADDRESS", "true", "drip_change_address", True),
        ("DRIP_CONSENT_CATEGORY", "Ads, Mail,", "drip_consent_categories", ("Ads", "Mail")),
        ("DRIP_MAPPING", "classic", "drip_initial_status", "none"),
        (
            "WAREHOUSE_URL",
            "postgres://ana:x@db/w",
            "warehouse_url",
            make_url("postgresql://ana:x@db/w"),
        ),
        ("WAREHOUSE_URL", "duckdb:///w.db", "warehouse_url", make_url("duckdb:///w.db")),
        ("WAREHOUSE_URL", " bigquery ", "warehouse_url", URL.create("bigquery")),
        ("WAREHOUSE_SCHEMA", "drip_events", "warehouse_schema", "drip_events"),
        ("WAREHOUSE_EVERY", "10m", "warehouse_every", 600),
        ("WAREHOUSE_DESTINATION", "true", "warehouse_destination", True),
        ("PUBLIC_URL", "https://b.example.org/", "public_url", "https://b.example.org"),
        ("PORT", " 9000 ", "bind", ("127.0.0.1:9000",)),
        ("WEB_CONCURRENCY", "3", "workers", 3),
    ],
)
def test_a_good_value_is_read(variable: str, text: str, field: str, value: object) -> None:
    assert getattr(read(**{variable: text}), field) == value


def test_a_file_is_no_warehouse_where_files_are_wiped() -> None:
    found = faults(
        {
            "DRIP_WEBHOOK_TOKEN": TOKEN,
            "DYNO": "web.1",
            "DATABASE_URL": POSTGRES,
            "WAREHOUSE_URL": "duckdb:///w.duckdb",
        }
    )
    assert "must not name a file if DYNO is set" in found["WAREHOUSE_URL"]


def test_a_schema_with_the_name_of_its_file_is_refused() -> None:
    found = faults({"DRIP_WEBHOOK_TOKEN": TOKEN, "WAREHOUSE_URL": "duckdb:///x/drip.duckdb"})
    assert "must not have the name of the file" in found["WAREHOUSE_SCHEMA"]


def test_segment_to_drip_is_off_and_careful_unless_it_is_set() -> None:
    settings = read()

    assert settings.segment_webhook_secrets == ()
    assert settings.tracking_write_keys == {}
    assert settings.is_segment_to_drip_on is False
    assert settings.drip_api_tokens == {}
    assert settings.drip_api_url == "https://api.getdrip.com"
    assert settings.drip_initial_status == "unsubscribed"
    assert settings.drip_value_unit == "cents"
    assert settings.drip_track_email == "context"
    assert settings.drip_allow_resubscribe is False
    assert settings.drip_campaign_id is None
    assert settings.drip_double_optin is None
    assert settings.drip_hold_hours == 24
    assert (settings.drip_requests_per_hour, settings.drip_batches_per_hour) == (3600, 50)
    assert settings.drip_batch_settle == 10
    assert settings.drip_skip_device_mode is False
    assert settings.drip_change_address is False


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_either_name_of_postgresql_works(scheme: str) -> None:
    url = read(DATABASE_URL=f"{scheme}://bridge:a-password@db.example.com:5432/bridge").database_url

    assert url.drivername == "postgresql+psycopg"
    assert (url.host, url.port, url.database) == ("db.example.com", 5432, "bridge")
    assert (url.username, url.password) == ("bridge", "a-password")


@pytest.mark.parametrize("path", ["bridge.db", "/srv/bridge/bridge.db"])
def test_sqlite_is_a_file(path: str) -> None:
    url = read(DATABASE_URL=f"sqlite:///{path}").database_url

    assert (url.drivername, url.database) == ("sqlite", path)


PARAMETERS = {
    "options": "-csearch_path=bridge",
    "sslmode": "verify-full",
    "target_session_attrs": "read-write",
    "connect_timeout": "10",
    "application_name": "a name",
    "keepalives_idle": "30",
    "client_encoding": "UTF8",
    "host": ("db-1.example.com", "db-2.example.com"),
}


def test_what_a_database_url_has_is_kept() -> None:
    url = make_url("postgresql+psycopg://bridge@/bridge").set(query=PARAMETERS)

    assert dict(read(DATABASE_URL=url.render_as_string()).database_url.query) == PARAMETERS


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("pgbouncer=true", "has a parameter that PostgreSQL does not know: pgbouncer."),
        ("sslmode=require&schema=bridge", "does not know: schema."),
        ("prepare_threshold=5", "does not know: prepare_threshold."),
        ("sslmode", "has a parameter without a value"),
        ("sslmode=&connect_timeout=5", "has a parameter without a value"),
        ("sslmode=require&sslmode=disable", "has the parameter sslmode twice"),
        ("sslmode=no-verify", "has a value for sslmode that"),
        ("target_session_attrs=read-only", "has a value for target_session_attrs that"),
        ("connect_timeout=0", "has a value for connect_timeout that"),
        ("connect_timeout=5s", "has a value for connect_timeout that"),
        ("client_encoding=latin1", "has a value for client_encoding that"),
        ("options=-csynchronous_commit%3Doff", "sets synchronous_commit or statement_timeout"),
        ("options=--Statement-Timeout%3D0", "sets synchronous_commit or statement_timeout"),
    ],
)
def test_parameters_of_a_database_url_are_not_dropped(query: str, reason: str) -> None:
    found = faults({"DRIP_WEBHOOK_TOKEN": TOKEN, "DATABASE_URL": f"{POSTGRES}?{query}"})

    assert reason in found["DATABASE_URL"]


def test_an_sqlite_url_takes_no_parameters() -> None:
    url = "sqlite:///bridge.db?timeout=30"

    assert (
        "no parameters"
        in faults({"DRIP_WEBHOOK_TOKEN": TOKEN, "DATABASE_URL": url})["DATABASE_URL"]
    )


@pytest.mark.parametrize(
    "value",
    [
        "$(openssl rand -hex 24)",
        "'$(openssl rand -hex 24)'",
        "`openssl rand -hex 24`",
        "${A_TOKEN_OF_SOMEWHERE}",
        "(what this prints: openssl rand -hex 24)",
        "your-token-for-the-bridge",
    ],
)
def test_what_nobody_has_filled_in_is_no_value(value: str) -> None:
    assert "still to be filled in" in faults({"DRIP_WEBHOOK_TOKEN": value})["DRIP_WEBHOOK_TOKEN"]


def test_the_write_key_of_the_readme_is_none() -> None:
    """Segment would answer 200 to it, and keep nothing."""
    found = faults({"DRIP_WEBHOOK_TOKEN": TOKEN, "SEGMENT_WRITE_KEY": "your-write-key"})

    assert "still to be filled in" in found["SEGMENT_WRITE_KEY"]


def test_http_in_a_private_network_has_to_be_allowed() -> None:
    host = "http://proxy.internal:8080"

    found = faults({"DRIP_WEBHOOK_TOKEN": TOKEN, "SEGMENT_HOST": host})
    assert "SEGMENT_HOST_INSECURE=true" in found["SEGMENT_HOST"]
    assert read(SEGMENT_HOST=host, SEGMENT_HOST_INSECURE="true").segment_host == host


def test_variables_that_look_like_ours_are_found() -> None:
    settings = read(SEGMENT_WRITEKEY="x", DRIP_TOKEN="x", HOME="/", SEGMENT_REGION="eu")

    assert settings.unknown == ("DRIP_TOKEN", "SEGMENT_WRITEKEY")


def test_the_host_counts_over_the_region() -> None:
    settings = read(SEGMENT_REGION="eu", SEGMENT_HOST="https://proxy.example.com")

    assert settings.segment_host == "https://proxy.example.com"


ALONE = "must be scheme and host alone"
NO_USER = "must not carry a user name"
HTTPS = "must start with https:// (http:// on loopback only)"
NOT_ONE_KEY = "is not one write key"
PAIRS = "must be pairs of account id and write key"
TOO_SHORT_KEY = "needs at least 16 characters in each write key."
TOO_SHORT = "needs at least 16 characters in each token"
IN_MEMORY = "events kept in memory only would be lost"


@pytest.mark.parametrize(
    ("variable", "text", "reason"),
    [
        ("SEGMENT_WRITE_KEY", "h1XJ Qz0e", NOT_ONE_KEY),
        ("SEGMENT_WRITE_KEY", "h1XJ,Qz0e", NOT_ONE_KEY),
        ("SEGMENT_WRITE_KEY", "4417=h1XJ", NOT_ONE_KEY),
        ("SEGMENT_WRITE_KEY", "h1XJ:", NOT_ONE_KEY),
        ("SEGMENT_WRITE_KEY", "h1XJ\x00", NOT_ONE_KEY),
        ("SEGMENT_WRITE_KEY", "hélas", NOT_ONE_KEY),
        ("SEGMENT_WRITE_KEYS", "h1XJ", PAIRS),
        ("SEGMENT_WRITE_KEYS", "4417=", PAIRS),
        ("SEGMENT_WRITE_KEYS", "=h1XJ", PAIRS),
        ("SEGMENT_WRITE_KEYS", "4417=h1XJ;5150=Qz0e", NOT_ONE_KEY),
        ("SEGMENT_WRITE_KEYS", "4417=h1XJ,4417=Qz0e", "twice"),
        ("SEGMENT_REGION", "asia", "must be one of: us, eu"),
        ("SEGMENT_HOST", "api.segment.io", ALONE),
        ("SEGMENT_HOST", "https://", ALONE),
        ("SEGMENT_HOST", "https://proxy.example.com/v1/batch", ALONE),
        ("SEGMENT_HOST", "https://proxy.example.com?a=b", ALONE),
        ("SEGMENT_HOST", "https://proxy.example.com#a", ALONE),
        ("SEGMENT_HOST", "https://proxy example com", "is not a URL"),
        ("SEGMENT_HOST", "https://proxy.example.com\\x", "is not a URL"),
        ("SEGMENT_HOST", "https://proxy.example.com:http", "is not a URL"),
        ("SEGMENT_HOST", "https://proxy.example.com:99999", "is not a URL"),
        ("SEGMENT_HOST", "https://proxy.example.com:0", ALONE),
        ("SEGMENT_HOST", "http://[::1", "is not a URL"),
        ("SEGMENT_HOST", "https://ana@proxy.example.com", NO_USER),
        ("SEGMENT_HOST", "https://ana:bo@proxy.example.com", NO_USER),
        ("SEGMENT_HOST", "http://proxy.example.com", HTTPS),
        ("SEGMENT_HOST", "http://10.0.0.1", HTTPS),
        ("SEGMENT_HOST", "http://127.0.0.1.example.com", HTTPS),
        ("SEGMENT_HOST", "http://localhost.example.com", HTTPS),
        ("SEGMENT_HOST", "ftp://127.0.0.1", HTTPS),
        ("DRIP_WEBHOOK_TOKEN", "fifteen-letters", TOO_SHORT),
        ("DRIP_WEBHOOK_TOKEN", f"{TOKEN},short", TOO_SHORT),
        ("DRIP_WEBHOOK_TOKEN", ",", TOO_SHORT),
        ("DRIP_WEBHOOK_TOKENS", TOKEN, "must be pairs of account id and token."),
        ("DRIP_WEBHOOK_TOKENS", f"={TOKEN}", "must be pairs of account id and token."),
        ("DRIP_WEBHOOK_TOKENS", "4417=short", TOO_SHORT),
        (
            "DRIP_WEBHOOK_TOKENS",
            f"4417=the-token-of-{TOKEN},5150=the-token-of-{TOKEN}",
            "names a token twice.",
        ),
        (
            "DRIP_WEBHOOK_TOKENS",
            f"4417={TOKEN}",
            "names a token of DRIP_WEBHOOK_TOKEN, which may post any account's events.",
        ),
        ("DATABASE_URL", "bridge.db", "is not a database URL"),
        ("DATABASE_URL", "postgres://bridge@db.example.com:five/bridge", "is not a database URL"),
        ("DATABASE_URL", "mysql://db.example.com/bridge", "names neither SQLite nor PostgreSQL"),
        ("DATABASE_URL", "sqlite://", IN_MEMORY),
        ("DATABASE_URL", "sqlite:///:memory:", IN_MEMORY),
        ("DATABASE_URL", "sqlite:///file::memory:?cache=shared&uri=true", IN_MEMORY),
        ("DATABASE_URL", "sqlite:///file:bridge?mode=memory&uri=true", IN_MEMORY),
        ("DATABASE_URL", "sqlite://data/bridge.db", "is not a database URL"),
        ("DELIVER_IN_WEB", "perhaps", "must be true or false"),
        ("SENT_RETENTION_DAYS", "3.9", "must be at least 4"),
        ("SENT_RETENTION_DAYS", "-7", "must be at least 4"),
        ("SENT_RETENTION_DAYS", "nan", "must be at least 4"),
        ("SENT_RETENTION_DAYS", "inf", "must be at least 4"),
        ("SENT_RETENTION_DAYS", "7 days", "is not a number"),
        ("FAILED_RETENTION_DAYS", "0", "must be at least 4"),
        ("LOG_LEVEL", "loud", "must be one of: debug, info, warning, error"),
        ("LOG_FORMAT", "xml", "must be one of: auto, pretty, logfmt, json"),
        ("ALERT_WEBHOOK_URL", "hooks.example.com", "is not a URL"),
        ("ALERT_WEBHOOK_URL", "https://hooks.example.com/a b", "is not a URL"),
        ("ALERT_WEBHOOK_URL", "https://hooks.example.com:x/", "is not a URL"),
        ("ALERT_WEBHOOK_URL", "http://hooks.example.com/x", HTTPS),
        ("ALERT_SILENCE_HOURS", "0", "must be at least 0.1"),
        ("ALERT_SILENCE_HOURS", "a day", "is not a number"),
        ("DRIP_API_TOKEN", "0a1b 2c", "holds a blank"),
        ("DRIP_API_TOKEN", "clé", "not ASCII"),
        ("DRIP_ACCOUNT_ID", "acme", "must be digits"),
        ("SEGMENT_WEBHOOK_SECRET", "fifteen-letters", TOO_SHORT),
        ("SEGMENT_WEBHOOK_SECRET", f"{TOKEN},short", TOO_SHORT),
        ("TRACKING_WRITE_KEYS", "fifteen-letters", TOO_SHORT_KEY),
        ("TRACKING_WRITE_KEYS", f"{TOKEN},4417=short", TOO_SHORT_KEY),
        ("TRACKING_WRITE_KEYS", f"4417={TOKEN},{TOKEN}", "names a write key twice."),
        ("TRACKING_WRITE_KEYS", f"acme={TOKEN}", "must be digits"),
        ("TRACKING_WRITE_KEYS", f"={TOKEN}", "must be digits"),
        ("TRACKING_WRITE_KEYS", f"4417={TOKEN} x", "is not one write key"),
        ("DRIP_API_TOKENS", "0a1b", "must be pairs of account id and API token."),
        ("DRIP_API_TOKENS", "4417=", "must be pairs of account id and API token."),
        ("DRIP_API_TOKENS", "=0a1b", "must be pairs of account id and API token."),
        ("DRIP_API_TOKENS", "acme=0a1b", "must be digits"),
        ("DRIP_API_TOKENS", "4417=0a1b 2c", "holds a blank"),
        ("DRIP_API_TOKENS", "4417=0a1b,4417=2c3d", "names an account twice."),
        ("DRIP_API_URL", "https://api.getdrip.com/v2", ALONE),
        ("DRIP_API_URL", "http://api.getdrip.com", HTTPS),
        ("DRIP_API_URL", "https://ana@api.getdrip.com", NO_USER),
        ("DRIP_INITIAL_STATUS", "subscribed", "must be one of: unsubscribed, active, none"),
        ("DRIP_VALUE_UNIT", "dollars", "must be one of: cents, major"),
        ("DRIP_TRACK_EMAIL", "traits", "must be one of: context, properties"),
        ("DRIP_ALLOW_RESUBSCRIBE", "perhaps", "must be true or false"),
        ("DRIP_CAMPAIGN_ID", "a/b", "must be one id"),
        ("DRIP_CAMPAIGN_ID", "1,2", "must be one id"),
        ("DRIP_CONSENT_CATEGORY", " , ", "must be the ids of categories"),
        ("DRIP_DOUBLE_OPTIN", "perhaps", "must be true or false"),
        ("DRIP_HOLD_HOURS", "-1", "must be at least 0"),
        ("DRIP_HOLD_HOURS", "a day", "is not a number"),
        ("DRIP_REQUESTS_PER_HOUR", "0", "must be a whole number from 1 to 1000000"),
        ("DRIP_BATCHES_PER_HOUR", "all", "must be a whole number from 1 to 1000000"),
        ("DRIP_BATCH_SETTLE", "nan", "must be at least 0"),
        ("DRIP_SKIP_DEVICE_MODE", "perhaps", "must be true or false"),
        ("WAREHOUSE_URL", "mysql://x/y", "names neither DuckDB nor PostgreSQL"),
        ("WAREHOUSE_URL", "duckdb://w.duckdb", "a file's has three slashes or four"),
        ("WAREHOUSE_URL", "duckdb:///:memory:", "names no file"),
        ("WAREHOUSE_URL", "postgres://host", "names no database"),
        ("WAREHOUSE_URL", "postgres:///drip", "names no server"),
        ("WAREHOUSE_URL", "postgres://host/drip", "names no user"),
        ("WAREHOUSE_URL", "a file", "is no database URL"),
        ("WAREHOUSE_SCHEMA", "Drip Events", "must be small letters"),
        ("WAREHOUSE_EVERY", "10", "must be a number with s, m, h or d"),
        ("WAREHOUSE_EVERY", "0m", "must be a number with s, m, h or d"),
        ("INSPECTOR_PASSWORD", "eleven char ", "needs at least 12 characters"),
        ("METRICS_TOKEN", "fifteen-letters", "needs at least 16 characters"),
        ("METRICS_TOKEN", "sixteen letters!", "holds a blank"),
        ("SEGMENT_HOST_INSECURE", "perhaps", "must be true or false"),
        ("PUBLIC_URL", "http://b.example.org", HTTPS),
        ("PUBLIC_URL", "https://b.example.org/bridge", ALONE),
        ("PORT", "99999", "must be a whole number from 1 to 65535"),
        ("PORT", "0", "must be a whole number from 1 to 65535"),
        ("PORT", "http", "must be a whole number from 1 to 65535"),
        ("PORT", "8000.5", "must be a whole number from 1 to 65535"),
        ("WEB_CONCURRENCY", "0", "must be a whole number from 1 to 100"),
        ("WEB_CONCURRENCY", "-1", "must be a whole number from 1 to 100"),
        ("WEB_CONCURRENCY", "8000", "must be a whole number from 1 to 100"),
        ("WEB_CONCURRENCY", "٣", "must be a whole number from 1 to 100"),
    ],
)
def test_a_bad_value_is_reported_with_variable_and_example(
    variable: str, text: str, reason: str
) -> None:
    found = faults({"DRIP_WEBHOOK_TOKEN": TOKEN, variable: text})

    assert found.keys() == {variable}
    assert reason in found[variable]
    assert f"Example: {variable}=" in found[variable]


@pytest.mark.parametrize(
    ("variable", "example"),
    [
        ("SEGMENT_WRITE_KEY", "h1XJ"),
        ("SEGMENT_WRITE_KEYS", "4417=h1XJ,5150=Qz0e"),
        ("SEGMENT_REGION", "eu"),
        ("SEGMENT_HOST", "https://events.eu1.segmentapis.com"),
        ("DRIP_WEBHOOK_TOKEN", "(what this prints: openssl rand -hex 24)"),
        ("DATABASE_URL", "postgres://user:password@db.example.com:5432/bridge"),
        ("DELIVER_IN_WEB", "false"),
        ("SENT_RETENTION_DAYS", "7"),
        ("FAILED_RETENTION_DAYS", "30"),
        ("LOG_LEVEL", "warning"),
        ("LOG_FORMAT", "json"),
        ("ALERT_WEBHOOK_URL", "https://hooks.slack.com/services/"),
        ("ALERT_SILENCE_HOURS", "24"),
        ("DRIP_API_TOKEN", "0a1b2c"),
        ("DRIP_ACCOUNT_ID", "9999999"),
        ("SEGMENT_WEBHOOK_SECRET", "(what this prints: openssl rand -hex 24)"),
        ("TRACKING_WRITE_KEYS", "(what this prints: openssl rand -hex 16)"),
        ("DRIP_API_TOKENS", "4417=0a1b2c,5150=3d4e5f"),
        ("DRIP_API_URL", "https://api.getdrip.com"),
        ("DRIP_INITIAL_STATUS", "active"),
        ("DRIP_VALUE_UNIT", "major"),
        ("DRIP_TRACK_EMAIL", "properties"),
        ("DRIP_ALLOW_RESUBSCRIBE", "true"),
        ("DRIP_CAMPAIGN_ID", "9999999"),
        ("DRIP_DOUBLE_OPTIN", "true"),
        ("DRIP_HOLD_HOURS", "24"),
        ("DRIP_REQUESTS_PER_HOUR", "3600"),
        ("DRIP_BATCHES_PER_HOUR", "50"),
        ("DRIP_BATCH_SETTLE", "10"),
        ("DRIP_SKIP_DEVICE_MODE", "true"),
        ("INSPECTOR_PASSWORD", "(what this prints: openssl rand -hex 16)"),
        ("METRICS_TOKEN", "(what this prints: openssl rand -hex 24)"),
        ("SEGMENT_HOST_INSECURE", "true"),
        ("PUBLIC_URL", "https://bridge.example.com"),
        ("PORT", "8000"),
        ("WEB_CONCURRENCY", "2"),
    ],
)
def test_a_fault_comes_with_an_example(variable: str, example: str) -> None:
    line = faults({"DRIP_WEBHOOK_TOKEN": TOKEN, variable: "?,? ?"})[variable]

    assert line.replace("…", "").endswith(f"Example: {variable}={example}")


def test_all_faults_are_reported_at_once() -> None:
    found = faults(
        {
            "SEGMENT_WRITE_KEY": "two keys",
            "SEGMENT_WRITE_KEYS": "none",
            "SEGMENT_REGION": "asia",
            "SEGMENT_HOST": "nowhere",
            "DELIVER_IN_WEB": "perhaps",
            "DYNO": "web.1",
        }
    )

    assert found.keys() == {
        "SEGMENT_WRITE_KEY",
        "SEGMENT_WRITE_KEYS",
        "SEGMENT_REGION",
        "SEGMENT_HOST",
        "DELIVER_IN_WEB",
        "DRIP_WEBHOOK_TOKEN",
        "DATABASE_URL",
    }


@pytest.mark.parametrize(
    "environ",
    [
        {"SEGMENT_WRITE_KEY": "canary canary"},
        {"SEGMENT_WRITE_KEYS": "4417=canary=,5150=canary"},
        {"SEGMENT_WRITE_KEYS": "canary=4417,canary=5150"},
        {"SEGMENT_HOST": "https://ana:canary@proxy.example.com"},
        {"SEGMENT_HOST": "https://proxy.example.com/?key=canary"},
        {"DRIP_WEBHOOK_TOKEN": "canary"},
        {"DATABASE_URL": "mysql://ana:canary@db.example.com/bridge"},
        {"DATABASE_URL": "canary"},
        {"DATABASE_URL": "postgres://ana:can@ry:canary@db.example.com/bridge"},
        {"DRIP_API_TOKEN": "canary canary"},
        {"SEGMENT_WEBHOOK_SECRET": "canary"},
        {"TRACKING_WRITE_KEYS": "canary"},
        {"TRACKING_WRITE_KEYS": "canary=a-canary-for-the-sdks"},
        {"TRACKING_WRITE_KEYS": "a-canary-for-the-sdks,a-canary-for-the-sdks"},
        {"DRIP_API_TOKENS": "canary"},
        {"DRIP_API_TOKENS": "canary=0a1b"},
        {"DRIP_API_TOKENS": "4417=canary canary"},
        {"DRIP_API_TOKENS": "4417=canary,4417=canary"},
        {"DRIP_API_URL": "https://canary@api.getdrip.com"},
        {"DRIP_CAMPAIGN_ID": "canary canary"},
        {"ALERT_WEBHOOK_URL": "http://hooks.example.com/canary"},
        {"INSPECTOR_PASSWORD": "canary"},
        {"METRICS_TOKEN": "canary"},
        {"DATABASE_URL": "postgres://bridge:can@ry?canary=canary@db.example.com/bridge"},
        {"DATABASE_URL": "postgres://db.example.com/bridge?sslmode=canary"},
        {"SEGMENT_WRITE_KEY": "$(cat canary)"},
    ],
)
def test_no_secret_is_in_the_text_of_a_fault(environ: dict[str, str]) -> None:
    found = faults({"DRIP_WEBHOOK_TOKEN": TOKEN, **environ})

    assert found.keys() == environ.keys()
    assert "canary" not in str(found)


def test_no_secret_is_in_the_repr() -> None:
    settings = read(
        SEGMENT_WRITE_KEY="canary-1",
        SEGMENT_WRITE_KEYS="4417=canary-2",
        DRIP_WEBHOOK_TOKEN="canary-token-of-the-bridge",
        DATABASE_URL="postgres://bridge:canary-3@db.example.com/bridge?sslpassword=canary-6",
        DRIP_API_TOKEN="canary-4",
        ALERT_WEBHOOK_URL="https://hooks.example.com/canary-5",
        INSPECTOR_PASSWORD="canary-of-the-inspector",
        METRICS_TOKEN="canary-of-the-metrics",
        SEGMENT_WEBHOOK_SECRET="canary-of-the-webhook",
        DRIP_API_TOKENS="4417=canary-7",
        TRACKING_WRITE_KEYS="4417=canary-of-the-sdks",
    )

    assert settings.write_key == "canary-1"
    assert "canary" not in repr(settings)
    assert "canary" not in str(settings)


@pytest.mark.parametrize("database", [{}, {"DATABASE_URL": "sqlite:////srv/bridge.db"}])
def test_a_dyno_needs_a_database_that_outlives_it(database: dict[str, str]) -> None:
    found = faults({"DRIP_WEBHOOK_TOKEN": TOKEN, "DYNO": "web.1", **database})

    assert found.keys() == {"DATABASE_URL"}
    assert "wiped daily" in found["DATABASE_URL"]
    assert "Example: DATABASE_URL=postgres://" in found["DATABASE_URL"]


def test_a_dyno_with_postgresql_is_fine() -> None:
    assert read(DYNO="web.1", PORT="5000", DATABASE_URL=POSTGRES).database_url.host


def test_a_port_alone_asks_for_no_postgresql() -> None:
    assert read(PORT="5000").database_url.drivername == "sqlite"


def test_a_dyno_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNO", "web.1")
    monkeypatch.setenv("DATABASE_URL", POSTGRES)

    with pytest.raises(ConfigError, match=r"DRIP_WEBHOOK_TOKEN is required if DYNO is set"):
        load_settings()

    assert not Path("bridge.token").exists()


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_value_counts_as_unset(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (
        "SEGMENT_WRITE_KEY",
        "SEGMENT_WRITE_KEYS",
        "SEGMENT_REGION",
        "SEGMENT_HOST",
        "DRIP_WEBHOOK_TOKEN",
        "DATABASE_URL",
        "DELIVER_IN_WEB",
        "INSPECTOR_PASSWORD",
        "DYNO",
        "PORT",
    ):
        monkeypatch.setenv(variable, empty)

    settings = load_settings()

    made_up = read(
        DRIP_WEBHOOK_TOKEN=Path("bridge.token").read_text(),
        INSPECTOR_PASSWORD=Path("inspector.password").read_text(),
    )
    assert replace(settings, shown=()) == replace(made_up, inspector_link=True)


def test_the_env_file_is_read_and_the_environment_wins_over_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text(
        f"SEGMENT_WRITE_KEY=of-the-file\nDRIP_WEBHOOK_TOKEN={TOKEN}\nSEGMENT_REGION=eu\nUNSET\n"
    )
    monkeypatch.setenv("SEGMENT_WRITE_KEY", "of-the-environment")

    settings = load_settings()

    assert settings.write_key == "of-the-environment"
    assert settings.webhook_tokens == (TOKEN,)
    assert settings.segment_host == "https://events.eu1.segmentapis.com"
    assert not Path("bridge.token").exists()


def test_the_local_secrets_are_made_once_for_their_owner() -> None:
    first, second = load_settings(), load_settings()

    token, password = Path("bridge.token"), Path("inspector.password")
    assert first.webhook_tokens == second.webhook_tokens == (token.read_text(),)
    assert first.inspector_password == second.inspector_password == password.read_text()
    assert token.read_text() != password.read_text()
    for file in (token, password):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(file.read_text()) >= 32
    assert {path.name for path in Path.cwd().iterdir()} == {token.name, password.name}


@pytest.mark.parametrize("file", ["bridge.token", "inspector.password"])
def test_a_secret_that_cannot_be_read_is_reported_with_its_file(file: str) -> None:
    Path(file).mkdir()

    with pytest.raises(ConfigError, match=f"{file} cannot be read.*: Is a directory"):
        load_settings()


def test_a_secret_that_is_not_text_is_reported_with_its_file() -> None:
    Path("bridge.token").write_bytes("a-token-of-windows".encode("utf-16"))

    with pytest.raises(ConfigError, match=r"DRIP_WEBHOOK_TOKEN is not set.*it is not text"):
        load_settings()


def test_a_folder_that_can_keep_no_secret_is_reported(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()

    with pytest.raises(ConfigError, match="set DRIP_WEBHOOK_TOKEN"):
        load_settings()


def test_each_bridge_makes_up_a_token_of_its_own(tmp_path: Path) -> None:
    assert local_secret(tmp_path / "one") != local_secret(tmp_path / "two")


@pytest.mark.parametrize(
    ("file", "variable"),
    [("bridge.token", "DRIP_WEBHOOK_TOKEN"), ("inspector.password", "INSPECTOR_PASSWORD")],
)
def test_an_empty_file_is_no_secret(file: str, variable: str) -> None:
    Path(file).touch()

    with pytest.raises(ConfigError, match=variable):
        load_settings()


@pytest.mark.parametrize("variable", ["DYNO", "PORT"])
def test_a_platform_makes_up_no_password(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "5000")
    monkeypatch.setenv("DRIP_WEBHOOK_TOKEN", TOKEN)
    monkeypatch.setenv("DATABASE_URL", POSTGRES)

    settings = load_settings()

    assert settings.inspector_password is None
    assert not settings.inspector_link
    assert not Path("inspector.password").exists()
