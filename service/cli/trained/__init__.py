"""Commands for a trained experiment: checkpoints, evaluate, predict, export."""
