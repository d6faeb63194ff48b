"""Trainings that go on from where another one ended."""
