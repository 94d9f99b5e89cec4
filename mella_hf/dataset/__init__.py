"""Work with a dataset folder: build, verify, load, publish, and remove samples."""
