"""The page on which people judge translations, and their decisions."""
