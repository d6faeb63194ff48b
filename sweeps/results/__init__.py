"""What came out of a sweep: tables, statistics, what cannot be compared."""
