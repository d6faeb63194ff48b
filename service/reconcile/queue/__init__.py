"""From the database's rows to the queue's decisions, and what is done about them."""
