"""Thick descriptions: describe images with the help of their page's text, and keep names through the translation."""
