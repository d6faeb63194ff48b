"""What can be asked: methods, data sets, models, the experiment."""
