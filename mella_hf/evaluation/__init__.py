"""Score systems on the test splits and test whether they differ."""
