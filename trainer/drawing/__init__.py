"""Labels as pictures: colours, overlays, legends, models side by side."""
