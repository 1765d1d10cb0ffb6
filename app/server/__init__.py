"""How gunicorn serves the bridge: its worker, a connection, pages in threads."""
