"""The losses: plain functions that return sums, and thin modules that store their settings. Torch only."""
