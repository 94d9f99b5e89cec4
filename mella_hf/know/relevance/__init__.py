"""How surely a text belongs to its image: scored by a dual encoder, calibrated by re-paired images and texts."""
