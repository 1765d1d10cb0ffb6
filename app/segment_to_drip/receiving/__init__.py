"""Take the calls of Segment and its SDKs in: cut bodies into calls, keep them, answer."""
