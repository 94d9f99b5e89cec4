"""Chat models as translators: what they are asked, on one server or several, and what their replies become."""

import logging
from collections import Counter
from pathlib import Path

import pytest
from chat_translation_server import ChatTranslationServer

from mella_hf.answers.request_cache import RequestCache
from mella_hf.errors import MellaError, StageError
from mella_hf.ling.translate import CachedTranslator, open_translator
from mella_hf.ling.translators.chat import KEY_VARIABLE, ChatTranslator, spoken
from mella_hf.ling.translators.chat_prompts import find_form, language_name
from mella_hf.ling.translators.routes import Route, find_routes

TEXT = "A red boat lies on the sand."


async def no_pause(seconds: float) -> None:
    """Tests do not wait."""


# The forms that the models' cards give, with the text and the languages filled in by hand.
@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("Unbabel/Tower-Plus-9B", f"Translate the following English source text to Czech:\nEnglish: {TEXT}\nCzech: "),
        ("my-EuroLLM-9b-instruct", f"Translate the following English source text to Czech:\nEnglish: {TEXT}\nCzech: "),
        ("BSC-LT/salamandraTA-7b-instruct",
         f"Translate the following text from English into Czech.\nEnglish: {TEXT}\nCzech:"),
        ("Unbabel/TowerInstruct-13B-v0.1",
         f"Translate the following text from English into Czech.\nEnglish: {TEXT}\nCzech:"),
    ],
)  # fmt: skip
def test_models_are_asked_in_the_form_of_their_card(model: str, asked: str) -> None:
    with ChatTranslationServer(lambda text: "Červená loď leží na písku.") as server:
        translator = ChatTranslator(model, [server.url])
        assert translator.translate([TEXT], "en", "cs") == ["Červená loď leží na písku."]
    (body,) = server.bodies
    assert body["messages"] == [{"role": "user", "content": asked}]
    assert (body["model"], body["temperature"], body["repetition_penalty"]) == (model, 0, 1)


def test_translategemma_gets_the_languages_as_codes() -> None:
    with ChatTranslationServer(lambda text: "x") as server:
        ChatTranslator("google/translategemma-27b-it", [server.url]).translate([TEXT], "en", "th")
    (body,) = server.bodies
    part = {"type": "text", "source_lang_code": "en", "target_lang_code": "th", "text": TEXT}
    assert body["messages"] == [{"role": "user", "content": [part]}]  # vLLM
    assert body["chat_template_kwargs"] == {"source_lang_code": "en", "target_lang_code": "th"}  # llama.cpp


def test_other_models_are_told_what_to_do_in_words() -> None:
    assert find_form("Qwen/Qwen3-32B").name == find_form("gpt-x").name == "general"
    assert language_name("sr") == "Serbian (Cyrillic script)" and language_name("th") == "Thai"
    with ChatTranslationServer(lambda text: "x") as server:
        ChatTranslator("Qwen/Qwen3-32B", [server.url]).translate([TEXT], "en", "sr")
    asked = server.bodies[0]["messages"][0]["content"]
    assert "from English into Serbian (Cyrillic script)" in asked and asked.endswith(f"\n\n{TEXT}")


def test_several_servers_share_the_texts_and_each_answer_is_kept_at_once(tmp_path: Path) -> None:
    texts = [f"Sentence number {n}." for n in range(24)]
    died = [False]

    def until_it_dies(text: str) -> object:
        if len(second.bodies) > 5:
            died[0] = True
            return 500, b""
        return text.rpartition("\n")[2].replace("Sentence number", "Věta")

    with (
        ChatTranslationServer(lambda text: text.rpartition("\n")[2].replace("Sentence number", "Věta")) as first,
        ChatTranslationServer(until_it_dies) as second,
        RequestCache(tmp_path / "cache.sqlite") as cache,
    ):
        chat = ChatTranslator("stand-in", [first.url, second.url], at_once=2, pause=no_pause)
        seen: list[str] = []
        translator = CachedTranslator(chat, cache, on_request=seen.extend)
        expected = [f"Věta {n}." for n in range(24)]
        assert translator.translate(texts, "en", "cs") == expected
        assert Counter(seen) == Counter(texts) and first.bodies and second.bodies and died[0]
        asked = len(first.bodies) + len(second.bodies)
        assert translator.translate(texts, "en", "cs") == expected and translator.missing(texts, "en", "cs") == []
        assert len(first.bodies) + len(second.bodies) == asked
    assert translator.name == "stand-in prompt 1" and "prompt 1 general" in translator.version


def test_answers_before_a_failure_are_in_the_cache(tmp_path: Path) -> None:
    broken = [True]

    def sometimes(text: str) -> object:
        return (500, b"out of memory") if broken[0] and text.endswith("number 7.") else "přeloženo"

    texts = [f"Sentence number {n}." for n in range(12)]
    with ChatTranslationServer(sometimes) as server, RequestCache(tmp_path / "cache.sqlite") as cache:
        translator = CachedTranslator(ChatTranslator("m", [server.url], at_once=1, pause=no_pause), cache)
        with pytest.raises(StageError, match="did not translate 1 of 12 texts.*out of memory.*are kept"):
            translator.translate(texts, "en", "cs")
        broken[0], asked = False, len(server.bodies)
        assert translator.translate(texts, "en", "cs") == ["přeloženo"] * 12
        assert len(server.bodies) == asked + 1


def test_half_a_text_and_a_refused_text_are_no_translations(caplog: pytest.LogCaptureFixture) -> None:
    def reply(text: str) -> object:
        if text.endswith("long"):
            return "Dlouhý te", "length"
        return (400, b"content policy: no boats") if text.endswith("boat") else "dobře"

    with ChatTranslationServer(reply) as server, caplog.at_level(logging.WARNING):
        found = ChatTranslator("m", [server.url]).translate(["long", "boat", "good"], "en", "cs")
    assert found == ["", "", "dobře"]
    assert "refuses 1 of 3 texts" in caplog.text and "no boats" in caplog.text


def test_a_server_that_refuses_every_text_stops_the_run() -> None:
    with ChatTranslationServer(lambda text: (400, b"this model has no chat template")) as server:
        translator = ChatTranslator("m", [server.url], pause=no_pause)
        with pytest.raises(StageError, match="has no chat template"):
            translator.translate([f"text {n}" for n in range(8)], "en", "cs")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("<think>\nThe boat is red.\n</think>\n\n Loď. ", "Loď."),
        ("  <think>never ends", ""),
        ("Loď <think> je", "Loď <think> je"),
        ("\n„Loď.“\n", "„Loď.“"),
    ],
)
def test_what_a_model_says_to_itself_is_no_translation(said: str, kept: str) -> None:
    assert spoken(said) == kept


def test_the_key_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-translator-77")
    with ChatTranslationServer(lambda text: "x") as server:
        ChatTranslator("m", [server.url]).translate(["a"], "en", "cs")
    assert server.keys == ["Bearer sk-translator-77"]


def test_addresses_go_to_their_translators() -> None:
    tower, libre = "chat:Unbabel/Tower-Plus-9B", "libre"
    a, b, c = "http://a:1/v1", "https://b:2/v1", "http://c:3"
    assert find_routes([tower], [a, b]) == [Route(tower, (a, b))]
    assert find_routes(["deepl"], [c]) == [Route("deepl", (c,))]
    assert find_routes([tower, libre, "google"], [f"{tower}={a}", f"{tower}={b}", f"libre={c}"]) == [
        Route(tower, (a, b)), Route(libre, (c,)), Route("google"),
    ]  # fmt: skip
    assert [route.urls for route in find_routes([tower, "chat:other", "google"], [a])] == [(a,), (a,), ()]
    with pytest.raises(MellaError, match="'http://c:3' is for no translator|No translator takes the address"):
        find_routes(["google", "deepl"], [c])
    with pytest.raises(MellaError, match="takes one address, but 2"):
        open_translator("libre", "cs", [a, c])
    with pytest.raises(MellaError) as error:
        find_routes([tower], ["ftp://layla:hunter2@h"])
    assert "hunter2" not in str(error.value)
