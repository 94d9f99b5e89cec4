"""The know line: from web pages to pairs of an image and its native alt-text."""
