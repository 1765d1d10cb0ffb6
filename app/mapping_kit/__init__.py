"""Segment's mapping-kit in Python: fields by directives, and triggers. It knows no destination.

Sources: `packages/core/src/mapping-kit` and `packages/destination-subscriptions` of
segmentio/action-destinations. What is otherwise here, and why, is in docs/mapping-file.md.
"""
