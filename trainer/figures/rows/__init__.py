"""What each figure shows, as plain rows: its CSV, and all that its chart is drawn from."""
