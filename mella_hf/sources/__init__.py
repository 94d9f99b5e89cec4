"""Read data that users already have: raw releases, image folders, other datasets."""
