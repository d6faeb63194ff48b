"""A trained model in other programs' formats, each run apart from us before it is kept."""
