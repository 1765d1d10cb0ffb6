"""What a page shows of the settings: where each was set, and no secret."""

import pytest

from app.config.environment import Environment
from app.config.schema import KNOWN
from app.config.shown import ShownSetting, shown_settings

SECRETS = {
    "SEGMENT_WRITE_KEY": "canary-write-key",
    "SEGMENT_WRITE_KEYS": "4417=canary-own-key",
    "DRIP_WEBHOOK_TOKEN": "canary-webhook-token",
    "DRIP_WEBHOOK_TOKENS": "4417=canary-token-of-one",
    "DATABASE_URL": "postgres://ana:canary-pw@db.example.com/bridge?passfile=canary",
    "ALERT_WEBHOOK_URL": "https://hooks.example.com/canary",
    "DRIP_API_TOKEN": "canaryapitoken",
    "DRIP_API_TOKENS": "4417=canaryapitoken",
    "SEGMENT_WEBHOOK_SECRET": "canary-shared-secret",
    "INSPECTOR_PASSWORD": "canary-password",
    "METRICS_TOKEN": "canary-metrics-token",
}


def shown(process: dict[str, str], file: dict[str, str]) -> dict[str, ShownSetting]:
    environment = Environment(process, file)
    generated = {"DRIP_WEBHOOK_TOKEN": "sixteen-letters!"}
    found = shown_settings(environment, {**generated, **environment.all})
    return {setting.name: setting for setting in found}


def test_every_setting_is_there() -> None:
    assert shown({}, {}).keys() == KNOWN


def test_no_secret_is() -> None:
    settings = shown(SECRETS, {})
    assert "canary" not in str(settings).lower()
    assert {settings[name].value for name in SECRETS.keys() - {"DATABASE_URL"}} == {"set"}
    assert settings["DATABASE_URL"].value == "postgresql://ana@db.example.com/bridge"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DELIVER_IN_WEB", "no", "false"),
        ("SENT_RETENTION_DAYS", "7.5", "7.5"),
        ("PORT", " 8000 ", "8000"),
        ("SEGMENT_REGION", "EU", "eu"),
        ("PUBLIC_URL", "https://b.example.net/", "https://b.example.net"),
        ("DATABASE_URL", "sqlite:////var/lib/bridge.db", "sqlite:////var/lib/bridge.db"),
    ],
)
def test_a_value_is_shown_as_it_was_understood(name: str, text: str, value: str) -> None:
    assert shown({}, {name: text})[name].value == value


def test_where_a_setting_is_from() -> None:
    settings = shown({"PORT": "80"}, {"PORT": "81", "LOG_FORMAT": "json"})
    assert settings["PORT"] == ShownSetting("PORT", "80", "environment")
    assert settings["LOG_FORMAT"].source == ".env"
    assert settings["DRIP_WEBHOOK_TOKEN"].source == "generated"
    assert settings["WEB_CONCURRENCY"] == ShownSetting("WEB_CONCURRENCY", "1", "default")
