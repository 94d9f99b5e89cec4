"""The cards of what the reader pushed: what they tell their own reader to run, run with what the Hub then has."""

from collections.abc import Iterator

import pytest
from verbatim import exceptions
from verbatim.before import provide
from verbatim.blocks import blocks, named_extras
from verbatim.fresh import Reader
from verbatim.scenario import Scenario
from verbatim.typist import Typist

pytestmark = pytest.mark.documents

# A repo -> the command that fills it.
PUSHED = {
    "models/cards/adapter": "mella push outputs/demo/ar/adapter cards/adapter",
    "models/cards/merged": "mella push outputs/demo/ar/adapter cards/merged --merge",
    "cards/data": "mella publish outputs/mella cards/data",
}


@pytest.fixture(scope="module")
def author(reader: Reader, scenario: Scenario) -> Iterator[Typist]:
    typist = Typist(reader, scenario, "author", (), cold=False)
    yield typist
    typist.close()


@pytest.mark.parametrize("repo", PUSHED)
def test_the_card_runs_as_it_stands(repo: str, author: Typist, reader: Reader, scenario: Scenario) -> None:
    command = PUSHED[repo]
    provide(author, command)
    pushed = author.type(command)
    assert pushed.status == 0, pushed.output[-3000:]
    card = scenario.hub.files(repo)["README.md"].decode("utf-8")
    found = blocks(f"card of {repo}", card)
    assert any(block.python for block in found), card
    typist = Typist(reader, scenario, repo.replace("/", "-"), named_extras(card), cold=False)
    for block in found:
        if exceptions.left(block.code) is None:
            done = typist.python(block.code) if block.python else typist.type(block.code)
            assert done.status == 0, f"{block}\n{done.output[-3000:]}"
    typist.close()
