"""A small dataset in the published layout, for tests that train."""

from pathlib import Path
from typing import Any

import pytest

from mella_hf.dataset.write import write_split


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_rows: Any) -> Path:
    """13 know and 9 ling samples in Arabic. Do not write in it."""
    from datasets import Image

    folder = tmp_path_factory.mktemp("mella")
    for source, count in (("know", 13), ("ling", 9)):
        rows = make_rows(count, source=source, start=0 if source == "know" else 50)
        write_split(rows.cast_column("image", Image(decode=False)), folder, "ar", source)
    return folder
