"""What becomes of a call: which fields of Drip its traits and properties are. Pure."""
