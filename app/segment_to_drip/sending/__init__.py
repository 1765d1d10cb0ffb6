"""Send to Drip: what to send next, within its limits, and what its answers mean."""
