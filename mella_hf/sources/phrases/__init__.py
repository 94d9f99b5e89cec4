"""The words of `mella_hf.sources.descriptions`, one module per language."""
