"""Log configuration: which loggers stay quiet at any level."""

import logging

from app.logs import log_config


def test_the_loggers_that_print_what_must_not_be_read_are_quiet_at_any_level() -> None:
    for level in ("debug", "info", "warning", "error"):
        loggers = log_config(level, "json")["loggers"]
        assert logging.getLevelName(loggers["segment"]["level"]) == logging.CRITICAL
        assert logging.getLevelName(loggers["urllib3"]["level"]) >= logging.ERROR
        assert logging.getLevelName(loggers["gunicorn.error"]["level"]) == logging.INFO
