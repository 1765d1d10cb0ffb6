"""What a web process does besides serving: send, watch, and spare the interpreter."""

import gc

from app.bridge import Bridge
from app.delivery.supervisor import Supervisor

DELIVERER_ENDS_WITHIN = 15.0
"""Seconds: a batch in hand is settled by then."""


class Beside:
    """Made after the fork: threads do not survive one, and the deliverer ends with its worker."""

    def __init__(self, bridge: Bridge, app: str) -> None:
        """`app` is what gunicorn loads, such as "wsgi:app"."""
        self._bridge = bridge
        self._deliverer = Supervisor(app) if bridge.settings.deliver_in_web else None

    def start(self) -> None:
        """Returns at once."""
        # what is loaded by now stays: nobody need look through it for garbage again and again
        gc.freeze()
        gc.set_threshold(10_000)
        self._bridge.start_watch()
        if self._deliverer:
            self._deliverer.start()

    def stop(self) -> None:
        """Have the deliverer settle the batch in hand, and end. Safe in a signal handler."""
        if self._deliverer:
            self._deliverer.stop()

    def join(self) -> None:
        """Wait for its end."""
        if self._deliverer:
            self._deliverer.join(DELIVERER_ENDS_WITHIN)
