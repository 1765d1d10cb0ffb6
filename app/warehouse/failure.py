"""Say why a load failed, without the values that dlt and the drivers quote."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.database.exclusive import InUse
from app.errors import ConfigError
from app.logs import error_location, get_logger

log = get_logger(__name__)

QUOTE_NOTHING = frozenset({"OperationalError", "IOException", "ConfigurationException"})
"""Errors whose first line is about servers, files and settings, never about a row."""


class WarehouseFailed(Exception):
    """The warehouse cannot be used now. The message says why, to anyone."""


@contextmanager
def failures_logged(what: str) -> Iterator[None]:
    """Log any error within as what did not happen. Raises `WarehouseFailed` in its place; `InUse`
    is none."""
    try:
        yield
    except InUse:
        raise
    except Exception as error:  # noqa: BLE001 - dlt and the drivers raise anything
        log.error(what, reason=reason_for_log(error))  # noqa: TRY400
        raise WarehouseFailed(reason_of(error)) from None


def reason_of(error: BaseException) -> str:
    """The error that is behind all others, by its name alone: for anyone."""
    if isinstance(error, ConfigError):
        return str(error)
    return type(_innermost(error)).__name__


def reason_for_log(error: BaseException) -> str:
    """The same for the log, with what the driver says if that quotes no row."""
    inner = _innermost(error)
    if not QUOTE_NOTHING.intersection(each.__name__ for each in type(inner).__mro__):
        return str(error) if isinstance(error, ConfigError) else error_location(inner)
    return f"{type(inner).__name__}: {str(inner).strip().partition(chr(10))[0]}"


def _innermost(error: BaseException) -> BaseException:
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error
