"""Routes of what goes, and of who asked for what."""
