"""Rows that go, and what must stay because something needs it."""
