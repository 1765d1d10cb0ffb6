"""Check, count and report whether the bridge is well: checks, stats, metrics, alerts, endpoints."""
