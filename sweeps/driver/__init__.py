"""One attempt at a sweep, from what storage has to its report."""
