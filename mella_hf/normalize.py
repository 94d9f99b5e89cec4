"""Text normalisation: str -> str functions that metrics apply before they compare texts."""

import unicodedata


def normalize_text(text: str) -> str:
    """NFKC, lower case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


normalize_arabic = normalize_korean = normalize_russian = normalize_serbian = normalize_text
normalize_thai = normalize_vietnamese = normalize_text
