"""What the API answers: rows, reports and previews as the documents that people get."""
