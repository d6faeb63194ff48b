"""What is told to MLflow, made from specs, reports and run directories: plain data, without MLflow."""
