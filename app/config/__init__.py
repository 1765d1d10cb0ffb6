"""What an operator can set: read, checked, and what of it deserves a warning."""
