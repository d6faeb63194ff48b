"""What one pass of the reconciler keeps in mind for all of its rows."""
