"""Stamps to read and to render."""

from pathlib import Path

import pytest
from stamp_folder import make_stamps_folder


@pytest.fixture(scope="session")
def stamps_root(tmp_path_factory) -> Path:
    """A drawn stamps folder."""
    return make_stamps_folder(tmp_path_factory.mktemp("stamps"))
