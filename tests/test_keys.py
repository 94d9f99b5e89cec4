"""Keys, tokens and passwords that no HTTP header can hold: one line that names the variable and does not show them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mella_hf.answers.chat.servers import ChatServers
from mella_hf.answers.identity import hub_commit
from mella_hf.answers.models import load_model
from mella_hf.errors import MellaError
from mella_hf.keys import check_address, check_hub_token, read_key
from mella_hf.ling.translate import choose_service
from mella_hf.ling.translators.routes import find_routes
from mella_hf.ling.translators.seq2seq import Seq2SeqTranslator
from mella_hf.ling.translators.services import SERVICES, ServiceTranslator

# As people paste them: cut by an ellipsis, between typographic quotes, with a no-break space, over two lines.
BAD = ["sk-12…", "“sk-12”", "sk\N{NO-BREAK SPACE}12", "sk-\n12", "ключ"]


@pytest.mark.parametrize("key", BAD)
def test_a_key_that_cannot_be_sent(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES.values():
        if service.key_variable:
            monkeypatch.setenv(service.key_variable, key)
            address = None if service.own_address else "http://127.0.0.1:9"
            with pytest.raises(MellaError, match=f"{service.key_variable} has .* cannot be sent") as caught:
                ServiceTranslator(service.name, address)
            assert "12" not in str(caught.value)
    with pytest.raises(MellaError, match=r"_API_KEY has .* cannot be sent"):
        choose_service("ar")  # a service that works without a key is not taken silently in its place
    monkeypatch.setenv("MELLA_CAPTIONER_KEY", key)
    servers = ChatServers("m", ["http://127.0.0.1:9/v1"], called="server", key_variable="MELLA_CAPTIONER_KEY")
    with pytest.raises(MellaError, match="MELLA_CAPTIONER_KEY has .* cannot be sent"):
        servers.ask(1, lambda _: {"messages": []}, lambda *_: None)


@pytest.mark.parametrize("token", [key for key in BAD if "\n" not in key])  # huggingface_hub takes line breaks out
def test_a_token_of_the_hub_that_cannot_be_sent(token: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    for read in (hub_commit, load_model, Seq2SeqTranslator):
        with pytest.raises(MellaError, match="set HF_TOKEN again") as caught:
            read("org/no-such-model")
        assert "12" not in str(caught.value)
    check_hub_token(str(tmp_path))  # a folder needs none


def test_good_keys_and_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "  sk-12_~!:fx \n")  # a file's last line break is no part of a key
    assert read_key("KEY") == "sk-12_~!:fx"
    assert read_key("NO_SUCH_KEY") is None
    check_address("http://user:p%C3%A9@127.0.0.1:9/v1")
    check_address("http://пример.рф/v1")  # aiohttp and requests encode the host


def test_a_password_that_cannot_be_sent() -> None:
    address = "http://user:p…@127.0.0.1:9/v1"
    for make in (
        lambda: ChatServers("m", [address], called="server", key_variable="KEY"),
        lambda: ServiceTranslator("libre", address),
    ):
        with pytest.raises(MellaError, match=r"http://127.0.0.1:9/v1.*percent-encoded") as caught:
            make()
        assert "p…" not in str(caught.value)
    assert find_routes(["libre"], [address])[0].urls == (address,)


READ = """
from mella_hf.cli import main
from mella_hf.dataset.builder import list_hub
from mella_hf.errors import MellaError
try:
    list_hub("org/no-such-data", None, None)
except MellaError as error:
    print(error)
main(["info", "org/no-such-data"])
"""


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The loader, which is also a script without this library, and a command."""
    online = {
        "HF_TOKEN": "hf_ab…",
        "HF_HUB_OFFLINE": "0",
        "HF_DATASETS_OFFLINE": "0",
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-c", READ], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **online}
    )
    assert done.returncode == 1
    assert "the token in HF_TOKEN has a character that is not ASCII" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: The token of the Hub has"), done.stderr
    assert "Traceback" not in done.stderr and "hf_ab" not in done.stdout + done.stderr
