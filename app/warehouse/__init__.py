"""Load kept messages into the user's own warehouse, in the tables that Segment makes there."""
