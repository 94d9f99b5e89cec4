"""The reader of the documents, shared by all tests here."""

from collections.abc import Iterator

import pytest
from verbatim.fresh import Reader, make_environment
from verbatim.scenario import Scenario, write_dataset


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    folder = tmp_path_factory.mktemp("documents")
    with Scenario(folder, write_dataset(folder / "dataset")) as scenario:
        yield scenario


@pytest.fixture(scope="session")
def reader(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    python = make_environment(tmp_path_factory.mktemp("environment"))
    with Reader(python, scenario.home, {**scenario.environment, "DEEPL_API_KEY": "key"}) as reader:
        yield reader
