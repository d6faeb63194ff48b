"""The commands about a trained experiment: scored again, pictures, exports, checkpoints."""
