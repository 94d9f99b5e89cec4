"""Open images safely and compute hashes, thumbnails and clean copies of them."""
