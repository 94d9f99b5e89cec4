"""The stages of a build: scan the source, plan the splits, write the shards."""
