"""Receive Drip's email events and send them to Segment as track calls.

An event passes through `webhook.py`, then `translate.py`, which uses `schema.py`, `mapping.py` and
`track.py`. The delivery worker sends it through `destination.py`. `webhook_setup.py` is about the
webhook's settings in Drip.
"""
