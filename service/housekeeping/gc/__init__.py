"""What no rule keeps any longer: found, judged, taken away."""
