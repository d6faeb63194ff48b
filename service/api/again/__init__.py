"""What was run before, asked for again: longer, once more, or with more trials."""
