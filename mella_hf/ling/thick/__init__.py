"""Thick descriptions: images described with what their page says of them, names kept through the translation."""
