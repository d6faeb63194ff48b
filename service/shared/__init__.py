"""What every part of the service knows: states, settings, addresses, what the API answers."""
