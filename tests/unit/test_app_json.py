"""app.json asks for what the bridge needs on Heroku, in Heroku's words."""

import json
import re
from typing import Any

from app.config.schema import KNOWN
from app.config.settings import environ_to_settings
from tests.support.bridge_process import ROOT

APP = json.loads((ROOT / "app.json").read_text())

# https://devcenter.heroku.com/articles/app-json-schema
KEYS = {
    *("addons", "buildpacks", "description", "env", "environments", "formation", "image"),
    *("keywords", "logo", "name", "repository", "scripts", "stack", "success_url", "website"),
}
ENV_KEYS = {"description", "generator", "required", "value"}
FORMATION_KEYS = {"quantity", "size"}
LONGEST_NAME = 30

PLATFORM = {
    "DYNO": "web.1",
    "PORT": "5000",
    # the add-on's
    "DATABASE_URL": "postgres://bridge:a-password@db.example.com:5432/bridge",
}


def processes() -> set[str]:
    return set(re.findall(r"^(\w+):", (ROOT / "Procfile").read_text(), re.MULTILINE))


def environ(entries: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What the app's owner has who agrees to everything and fills in nothing."""
    return {
        name: "0123456789abcdef" * 4 if entry.get("generator") == "secret" else entry["value"]
        for name, entry in entries.items()
        if entry.get("required", True)
    }


def test_each_key_is_one_that_heroku_documents() -> None:
    assert APP.keys() <= KEYS
    assert len(APP["name"]) <= LONGEST_NAME
    for entry in APP["env"].values():
        assert entry.keys() <= ENV_KEYS
        assert entry.keys() >= {"description"}
    for entry in APP["formation"].values():
        assert entry.keys() <= FORMATION_KEYS


def test_each_variable_is_one_that_is_read() -> None:
    assert APP["env"].keys() <= KNOWN


def test_nothing_need_be_filled_in_to_start() -> None:
    settings = environ_to_settings({**PLATFORM, **environ(APP["env"])})
    assert settings.deliver_in_web == ("worker" not in APP["formation"])
    assert settings.write_key is None
    assert any(addon.startswith("heroku-postgresql:") for addon in APP["addons"])


def test_what_the_owner_may_want_is_asked_for_and_not_required() -> None:
    optional = {name for name, entry in APP["env"].items() if not entry.get("required", True)}
    assert optional >= {"ALERT_WEBHOOK_URL", "DRIP_ACCOUNT_ID", "DRIP_API_TOKEN", "PUBLIC_URL"}


def test_the_owner_gets_to_the_bridges_page() -> None:
    assert APP["success_url"] == "/"


def test_the_procfile_has_the_processes_and_those_that_run() -> None:
    assert processes() == {"release", "web", "worker"}
    assert APP["formation"].keys() <= processes()


def test_segment_to_drip_is_off_until_it_is_filled_in() -> None:
    settings = environ_to_settings({**PLATFORM, **environ(APP["env"])})
    assert settings.segment_webhook_secrets == ()
    assert settings.drip_account_id is None
