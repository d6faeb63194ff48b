"""Commands about an experiment on its way: it rests, goes on, and how its tries fared."""
