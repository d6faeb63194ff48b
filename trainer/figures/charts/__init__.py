"""Charts from rows, by Altair: one file for each figure."""
