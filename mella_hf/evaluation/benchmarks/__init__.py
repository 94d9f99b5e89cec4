"""External benchmarks, each described by a YAML file."""
