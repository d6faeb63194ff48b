"""What is known of a data set's labels, and what is said where they can hardly be meant."""
