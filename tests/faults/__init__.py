"""The promise under faults: real processes, engines and a Segment that misbehaves.

Small by default, as part of the suite; `make faults` runs all of it, and prints the table of
docs/development/reliability.md.
"""
