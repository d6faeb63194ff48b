"""Where trials run: warm actors, processes, and the resources they take."""
