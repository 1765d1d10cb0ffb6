"""Serving over HTTP: gunicorn's gevent worker, made safe against whoever may connect."""
