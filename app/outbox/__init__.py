"""What has been accepted: kept durably, claimed under a lease, settled once, and looked after.

messages → store (the way of a message) → group_commit (many puts, one commit); the other files
search, requeue, erase and prune. Nothing here knows what a message says or where it goes.
"""
