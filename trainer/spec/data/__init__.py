"""The data sets that can be named: classes, label ids, palettes, and one list of classes onto another."""
