"""What the queue is decided from, and what it says of those that wait: a few columns of many rows."""
