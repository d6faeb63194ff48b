"""What goes: what somebody deletes, and what the rules of retention no longer keep."""
