"""A source with names in three languages."""

import pytest
from cldr_folder import make_source

from mella_hf.demo.pictures import PictureSource, find_source


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> PictureSource:
    """Names in Arabic, Georgian and Thai, and letters that stand in for pictures."""
    return find_source(make_source(tmp_path_factory.mktemp("source")))
