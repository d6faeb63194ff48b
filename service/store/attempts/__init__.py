"""Each try at an experiment, a sweep or a follow-up, as long as its row is kept."""
