"""What is asked of a trained experiment: checkpoints, evaluations, predictions, exports."""
