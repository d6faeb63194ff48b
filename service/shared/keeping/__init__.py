"""What is kept for how long, and what the API says of what goes."""
