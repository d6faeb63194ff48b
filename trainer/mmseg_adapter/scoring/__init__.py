"""Labels from a trained model, and what they score."""
