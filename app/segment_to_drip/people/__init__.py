"""Who is who: addresses of ids, and what was sent of each person."""
