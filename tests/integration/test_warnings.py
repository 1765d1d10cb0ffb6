"""A warning at start reaches the log."""

from dataclasses import replace

from app import create_app
from app.config.settings import Settings
from tests.support.logged import Logged


def test_a_misspelt_variable_is_pointed_out(settings: Settings, logged: Logged) -> None:
    create_app(replace(settings, unknown=("SEGMENT_WRITEKEY",)))

    assert "SEGMENT_WRITEKEY is no setting of the bridge and has no effect." in logged.text
    assert "Is SEGMENT_WRITE_KEY meant?" in logged.text
