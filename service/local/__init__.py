"""Ray, MLflow and the API embedded on one machine, over one data directory."""
