"""What gunicorn and `flask` load."""

import sys

from app import create_app
from app.cli.refusing import create_refusing_app, is_command_wanted
from app.errors import ConfigError

if "gunicorn.arbiter" in sys.modules:
    # of what a worker raises, this alone ends the master too, and in words
    from gunicorn.errors import AppImportError as Refusal

    if "app.server.worker" not in sys.modules:
        raise Refusal(
            "gunicorn has not read the bridge's own gunicorn.conf.py, so nothing would be sent. "
            "Start it in the folder of that file, or with --config /path/to/gunicorn.conf.py."
        )
else:
    Refusal = SystemExit

try:
    app = create_app()
except ConfigError as error:
    if not is_command_wanted():
        raise Refusal(str(error)) from None
    app = create_refusing_app(error)
