"""Routes of what was run before, and is asked for again."""
