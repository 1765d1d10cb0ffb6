"""What gunicorn and `flask --app wsgi` load."""

from app import create_app
from app.errors import CannotStart

try:
    app = create_app()
except CannotStart as error:
    raise SystemExit(str(error)) from None
