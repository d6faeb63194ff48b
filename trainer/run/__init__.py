"""One attempt, from its plan to its report."""
