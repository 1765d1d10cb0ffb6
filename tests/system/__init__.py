"""The bridge as processes: gunicorn, `flask deliver`, and what an operator runs."""
