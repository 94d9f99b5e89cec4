"""Rows that somebody asked to take away: the request, the file of requests, the new shards."""
