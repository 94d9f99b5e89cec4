"""Translators: web services and sequence-to-sequence models."""
