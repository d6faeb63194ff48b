"""Errors, strict documents and files: no word of machine learning."""
