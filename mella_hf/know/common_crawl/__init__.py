"""Pages of Common Crawl, found through its columnar index and fetched one by one: no WARC file is downloaded whole."""
