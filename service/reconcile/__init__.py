"""From what is stored to what runs: submit, look, decide, act."""
