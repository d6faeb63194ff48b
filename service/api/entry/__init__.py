"""Who may come in: the names that the service answers to, and the tokens that it asks for."""
