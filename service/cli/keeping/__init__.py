"""Commands about what goes, and about who asked for what."""
