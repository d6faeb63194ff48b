"""Every path in shared storage, and what is written and read there while a run lives."""
