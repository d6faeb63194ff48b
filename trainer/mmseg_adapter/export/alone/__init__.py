"""What runs where nothing of ours can be imported; so these files import nothing of ours."""
