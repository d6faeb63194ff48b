"""Who asks, and whose things they may change."""
