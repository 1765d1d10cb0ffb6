"""Drip → Segment: the files of this folder, in the order in which an event meets them.

webhook → auth → schema → collections → track; later, from the delivery loop, segment → deadline.
"""
