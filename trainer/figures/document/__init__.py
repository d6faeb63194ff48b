"""One self-contained HTML file of figures and tables."""
