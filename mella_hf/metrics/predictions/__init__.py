"""Files of predictions: their rows, their formats, and how two files, or a file and a dataset, are joined."""
