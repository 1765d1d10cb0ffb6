"""What every webhook needs, whichever sends it: who is calling, and the whole body or none."""
