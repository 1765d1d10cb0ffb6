"""One engine, one Flask app or one server of another, in this process."""
