"""Scores of systems on the test splits, and whether they differ."""
