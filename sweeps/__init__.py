"""Grids of experiments over Ray Tune."""
