"""Convert original InternVL2 checkpoints (remote code) to the native model of transformers."""
