"""Which words of a text are names, by rules of its language or by a model."""
