"""What is done with a trained experiment: from requests to rows, from rows and files to answers."""
