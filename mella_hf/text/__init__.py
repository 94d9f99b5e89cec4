"""Text before it is compared: normalisation, tokens, stems, and the language that it is in."""
