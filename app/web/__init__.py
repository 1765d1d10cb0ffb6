"""HTTP helpers that do not depend on who sends webhooks: authentication and request bodies."""
