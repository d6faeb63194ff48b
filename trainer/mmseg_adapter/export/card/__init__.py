"""What is written beside an exported model: what it is, and programs that use it."""
