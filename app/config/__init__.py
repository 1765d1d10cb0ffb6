"""Settings: read from the environment, checked, and frozen."""
