"""Clients of other services, each request with an end to how long it may take."""
