"""Which trial comes next and which stops early: Ray Tune."""
