"""What came out: scores, reports, comparisons."""
