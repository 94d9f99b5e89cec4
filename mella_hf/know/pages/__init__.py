"""Reading pages: WARC files, charsets, trees, and the images that pages show."""
