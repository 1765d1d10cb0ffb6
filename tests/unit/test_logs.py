"""Log configuration: which loggers stay quiet at any level."""

import logging

from app.logs import log_config


def test_the_loggers_that_print_contents_are_always_quiet() -> None:
    for level in ("debug", "info", "warning", "error"):
        loggers = log_config(level, "json")["loggers"]
        assert logging.getLevelName(loggers["segment"]["level"]) == logging.CRITICAL
        assert logging.getLevelName(loggers["urllib3"]["level"]) >= logging.ERROR
        assert logging.getLevelName(loggers["gunicorn.error"]["level"]) == logging.INFO
