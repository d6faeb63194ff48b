"""mmsegmentation's own config files in our words: `trainer/spec/catalogue` is made here."""
