"""What the commands do that ask for more of what was run before."""
