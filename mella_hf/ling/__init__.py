"""The ling line: from images to captions in the language, through translation and quality estimation."""
