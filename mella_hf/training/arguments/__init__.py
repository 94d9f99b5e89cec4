"""The settings of a run: read from recipes and flags, checked, and started on one or many GPUs."""
