"""What the metrics count: each text prepared once, its n-grams as numbers, and small tables of the counts."""
