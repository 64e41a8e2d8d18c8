"""What this machine can do, and what to make of it for these data."""
