"""Keep accepted messages durably, claim them under a lease, and settle each once.

`messages.py` has the values, `store.py` the way of a message, `group_commit.py` many puts in one
commit. The other files search, requeue, erase and prune. Nothing here depends on the source or on
the destination of a message.
"""
