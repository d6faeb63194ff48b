"""Commands that work on this machine: they start an instance, or see to its database."""
