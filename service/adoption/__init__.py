"""Rows made again from what lies in the storage: the database was lost, or there was no service."""
