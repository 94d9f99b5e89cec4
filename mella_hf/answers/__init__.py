"""Get answers from models: load them, decode, ask servers, and keep every answer on disk."""
