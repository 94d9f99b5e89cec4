"""Other people's benchmarks, described by a YAML file."""
