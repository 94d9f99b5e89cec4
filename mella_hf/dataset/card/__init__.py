"""The card of a dataset and what stands on it: facts of the rows, lengths, Croissant metadata."""
