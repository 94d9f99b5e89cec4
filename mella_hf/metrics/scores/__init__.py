"""One file a metric: what it counts of an item, its scores, their titles and its part of the signature.

A file that is put here is found by itself. Metrics of other packages register the entry point `mella_hf.metrics`.
"""
