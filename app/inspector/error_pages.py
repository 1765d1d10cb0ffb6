"""What cannot be shown or done, said on a page: no such event, a form too old, no database."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app.bridge import Bridge
from app.database.engine import describe
from app.logs import get_logger

log = get_logger(__name__)

TOO_OLD = (
    "The page was too old, or this browser keeps no cookies. Nothing was changed. "
    "Go back, load the page again, and try once more."
)

AWAY = (
    "The database cannot be read: see whether it runs and DATABASE_URL is right. "
    "The log has its words."
)


def register(blueprint: Blueprint, bridge: Bridge) -> None:  # noqa: ARG001 - as all pages have it
    """The handlers, for all pages."""

    @blueprint.errorhandler(HTTPException)
    def refused(error: HTTPException) -> ResponseReturnValue:
        if error.response is not None:
            return error.response
        words = TOO_OLD if isinstance(error, CSRFError) else error.description
        told = {name: value for name, value in error.get_headers() if name == "Retry-After"}
        return _page(error.name, words), error.code or 500, told

    @blueprint.errorhandler(SQLAlchemyError)
    def away(error: SQLAlchemyError) -> ResponseReturnValue:
        log.warning("outbox out of reach, page not shown", reason=describe(error))
        return _page("No database", AWAY), 503


def _page(title: str, words: str | None) -> str:
    return render_template("trouble.html", title=title, words=words)
