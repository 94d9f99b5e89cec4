"""Text handling that metrics and filters share: normalisation, tokens, stems, language identification."""
