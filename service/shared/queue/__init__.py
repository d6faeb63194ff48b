"""What a row asks of the queue, and what the API answers about it."""
