"""MLflow spoken: its client, its entities, and the tags that its interface gives a meaning to."""
