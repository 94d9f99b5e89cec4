"""Takedowns: the request, the file of requests, and the shards without the removed rows."""
