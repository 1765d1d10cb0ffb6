"""The inspector in a real browser, over a real gunicorn."""
