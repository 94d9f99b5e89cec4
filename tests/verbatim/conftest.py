"""The reader of the documents, shared by all tests here."""

from collections.abc import Iterator

import pytest
from verbatim.fresh import Environment, Reader
from verbatim.scenario import Scenario


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    with Scenario(tmp_path_factory.mktemp("documents")) as scenario:
        yield scenario


@pytest.fixture(scope="session")
def reader(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    environment = Environment(tmp_path_factory.mktemp("environment"))
    with Reader(environment, tmp_path_factory.mktemp("outputs"), scenario.environment) as reader:
        yield reader
