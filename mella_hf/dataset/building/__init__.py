"""The stages of a build: scan what a source holds, plan the splits, write the shards."""
