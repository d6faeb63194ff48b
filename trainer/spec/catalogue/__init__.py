"""What comes with the package as plain JSON: mmsegmentation's own configurations, and pretrained weights."""
