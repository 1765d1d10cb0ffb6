"""HTTP clients of other services. Each request has a deadline."""
