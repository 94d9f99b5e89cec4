"""Data that users hold already: raw releases, image folders, datasets."""
