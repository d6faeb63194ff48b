"""How jobs are told to end, for good or for now, and how that is taken back."""
