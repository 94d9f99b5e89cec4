"""The ling line: from images to translated captions that passed quality estimation."""
