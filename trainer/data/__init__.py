"""Pictures and masks on disk: found, checked, counted."""
