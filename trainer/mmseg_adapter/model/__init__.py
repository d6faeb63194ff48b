"""A model in mmsegmentation's terms: its config, its outline, the weights it begins with."""
