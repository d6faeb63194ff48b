"""What makes two trainings of one spec the same: the code that they run, and the data that they read."""
