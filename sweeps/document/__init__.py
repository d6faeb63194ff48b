"""What a sweep asks for: the document, its trials, what they will cost."""
