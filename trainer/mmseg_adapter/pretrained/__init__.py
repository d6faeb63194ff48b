"""A file of pretrained weights into a model's backbone: converted, resized, counted, or refused."""
