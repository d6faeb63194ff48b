"""Attempts that ended: which are followed by another, after which pause, what is on record of each."""
