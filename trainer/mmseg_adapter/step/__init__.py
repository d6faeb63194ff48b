"""One step of the optimiser: its parts, its precision, what stops it, and the average of the weights."""
