"""What mmsegmentation ships, as packaged data: its models, how each is trained, and weights to begin with."""
