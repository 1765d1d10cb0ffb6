"""Segment → Drip: identify and track calls, as subscribers and events."""
