"""The open questions of the paper: made-up names and rare names."""
