"""Requests to servers that packages bring: `transformers serve`, LiteLLM in front of it, llama.cpp."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import real_servers

from mella_hf.answers.answers import read_meta, read_predictions
from mella_hf.answers.chat.replies import Completion
from mella_hf.answers.chat.servers import KEY_VARIABLE, ChatServers
from mella_hf.answers.endpoint import Endpoint, endpoint_identity
from mella_hf.answers.predictions import answer_rows
from mella_hf.errors import MellaError, StageError
from mella_hf.ling.translators.chat_prompts import find_form

pytestmark = pytest.mark.skipif(
    not (real_servers.SERVERS / ".installed").exists(), reason="the servers' environment is absent; run make servers"
)


async def no_pause(seconds: float) -> None:
    """Tests do not wait."""


@pytest.fixture(scope="module")
def served(tiny_qwen2vl: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """All three, with the tiny random Qwen2-VL and SmolLM2-135M."""
    home = tmp_path_factory.mktemp("servers")
    with (
        real_servers.transformers_serve(tiny_qwen2vl, home) as transformers,
        real_servers.llama_cpp(home) as llama,
        real_servers.litellm({"tiny": (str(tiny_qwen2vl), transformers), "smol": ("smol", llama)}, home) as litellm,
    ):
        yield {"transformers": transformers, "llama": llama, "litellm": litellm}


def answer(url: str, model: str, rows: Any, out: Path) -> Path:
    endpoint = Endpoint(model, [url], at_once=2, pause=no_pause)
    return answer_rows(
        endpoint, rows, language="ar", source="know", out=out, identity=endpoint_identity(model), max_new_tokens=4,
        progress=False,
    )  # fmt: skip


def test_evaluation_asks_transformers_serve_and_litellm(
    served: dict[str, str], tiny_qwen2vl: Path, make_rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = answer(served["transformers"], str(tiny_qwen2vl), make_rows(3), tmp_path / "direct.jsonl")
    notes = read_meta(direct)["notes"]["repetition_penalty"]
    assert notes.startswith("as served: refused by http://127.0.0.1:")  # it knows OpenAI's parameters alone
    monkeypatch.setenv(KEY_VARIABLE, real_servers.MASTER_KEY)
    behind = answer(served["litellm"], "tiny", make_rows(3), tmp_path / "behind.jsonl")
    assert [p["prediction"] for p in read_predictions(direct)] == [p["prediction"] for p in read_predictions(behind)]
    assert all(p["truncated"] for p in read_predictions(direct))  # four tokens of a random model


def test_a_wrong_model_name_is_said_at_once(
    served: dict[str, str], make_rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, real_servers.MASTER_KEY)
    with pytest.raises(MellaError, match="Invalid model name"):
        answer(served["litellm"], "large", make_rows(3), tmp_path / "p.jsonl")
    monkeypatch.setenv(KEY_VARIABLE, "sk-wrong-key-5150")
    with pytest.raises(MellaError, match="No connected db") as error:  # LiteLLM's words, where it has no database
        answer(served["litellm"], "tiny", make_rows(1), tmp_path / "q.jsonl")
    assert "5150" not in str(error.value)


def test_a_server_without_its_vision_file_is_said_at_once(
    served: dict[str, str], make_rows: Any, tmp_path: Path
) -> None:
    with pytest.raises(StageError, match=r"refuses every request \(status_500\).*image input is not supported"):
        answer(served["llama"], "smol", make_rows(4), tmp_path / "p.jsonl")


def test_a_chat_model_is_asked_on_llama_cpp_and_behind_litellm(
    served: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six tokens of SmolLM2 about what a translator asks."""
    asked = find_form("smol").build("A red boat.", "en", "hu")

    def say(url: str) -> Completion:
        servers = ChatServers(
            "smol", [url], at_once=1, called="server", key_variable=KEY_VARIABLE, extras={"repetition_penalty": 1.0},
            pause=no_pause,
        )  # fmt: skip
        said: dict[int, Completion] = {}
        failed = servers.ask(1, lambda i: {**asked, "max_tokens": 6, "temperature": 0}, said.__setitem__)
        assert not failed
        return said[0]

    direct = say(served["llama"])
    monkeypatch.setenv(KEY_VARIABLE, real_servers.MASTER_KEY)
    assert direct.text and direct.finish == "length" and direct.completion_tokens == 6
    assert say(served["litellm"]).completion_tokens == 6
