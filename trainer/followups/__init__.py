"""What is done with a trained experiment: scored again, a picture labelled, taken away."""
