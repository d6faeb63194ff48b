"""Who asked for which change: noted with it, and read by administrators."""
