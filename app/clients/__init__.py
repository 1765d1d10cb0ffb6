"""What the bridge asks others with, whoever they are."""
