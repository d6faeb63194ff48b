"""One file per resource: no SQL, no Ray, no status arithmetic."""
