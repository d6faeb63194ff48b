"""The smoke test of a deployment, over HTTP alone: Python's standard library and nothing else."""
