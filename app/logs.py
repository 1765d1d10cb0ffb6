"""Log lines say what happened, never to whom."""

import logging.config


def configure_logs() -> None:
    """Send the bridge's own lines to stderr, and keep quiet those that print what must not be read.

    At DEBUG the SDK prints whole bodies and the write key, and at any level it prints what Segment
    answered (docs/facts.md § 3); urllib3 prints URLs; Alembic tells of every look at the schema.
    """
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "loggers": {
                "app": {"level": "INFO", "handlers": ["stderr"]},
                "segment": {"level": "CRITICAL", "propagate": False},
                "urllib3": {"level": "ERROR"},
                "alembic": {"level": "WARNING"},
            },
        }
    )


def where(error: BaseException) -> str:
    """The kind of an error and the line it came from: its text may quote the event."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    line = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "nowhere"
    return f"{type(error).__name__} at {line}"
