"""From samples to batches: conversations, the tokens of images, like lengths together, what cannot be trained on."""
