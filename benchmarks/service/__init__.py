"""`python -m benchmarks.service`: what the service takes and gives under load; see `__main__.py`."""
