"""How what was written becomes durable, and what that costs."""
