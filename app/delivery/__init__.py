"""Deliver kept messages: claim, send, decide, settle. Depends on no particular destination."""
