"""The know line: from web pages to images with native alt-texts."""
