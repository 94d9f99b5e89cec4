"""The one way to open an image, and what is computed from its pixels."""
