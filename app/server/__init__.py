"""How gunicorn serves the bridge: hooks, worker, connections, and pages in threads."""
