"""Who of those that wait may begin, and why the others may not yet: pure, no clock, no database."""
