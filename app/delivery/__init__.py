"""Sending what is kept: claim, send, decide, settle. Knows no vendor."""
