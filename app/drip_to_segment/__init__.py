"""Drip → Segment: the files of this folder, in the order in which an event meets them.

webhook → schema → mapping → track (all of it by translate); later, from the delivery worker,
destination. `webhook_setup` is about the webhook in Drip itself.
"""
