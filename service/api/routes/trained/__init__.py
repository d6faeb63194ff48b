"""The routes about a trained experiment: scored again, pictures, exports, checkpoints."""
