"""What has been accepted and is not yet sent: kept durably, claimed under a lease, settled once.

engine → tables → migrations (moved by schema.py) → store (all SQL) → group_commit (many puts, one
commit). Nothing here knows what the events say or where they go.
"""
