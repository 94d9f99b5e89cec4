"""Read web pages: WARC files, charsets, HTML trees, and the images on a page."""
