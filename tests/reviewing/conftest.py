"""A queue of twelve described pictures."""

from pathlib import Path

import pytest
from described_pictures import described

from mella_hf.dataset.card.card import write_card, write_funnel
from mella_hf.dataset.write import write_split


@pytest.fixture
def queue_folder(tmp_path: Path) -> Path:
    """The queue as `mella describe` would leave it."""
    folder = tmp_path / "described"
    for language in ("ar", "th"):
        write_split(described(language), folder, language, "ling")
    write_funnel(folder, {code: {"ling": {"kept": 6, "dropped_qe_low": 2}} for code in ("ar", "th")})
    write_card(folder)
    return folder
