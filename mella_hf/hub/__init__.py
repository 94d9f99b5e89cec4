"""Publish adapters, merged models and their cards on the Hub."""
