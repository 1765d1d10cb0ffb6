"""Is the bridge well? Checks, figures, alerts, and the endpoints that report them."""
