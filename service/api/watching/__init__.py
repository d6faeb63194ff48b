"""What the service shows of itself while it runs: a line for each request, figures, streams."""
