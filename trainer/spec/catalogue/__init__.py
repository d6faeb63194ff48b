"""What is packaged: mmsegmentation's configurations, the paper's rows, pretrained weights, as plain JSON."""
