"""What the service asks of MLflow beside the life of runs: what lies in its bin."""
