"""Specs, catalogues, losses, training jobs and reports: everything that does not need a server."""
