"""deep-translator talks to a server on loopback that speaks LibreTranslate and DeepL, and has bad days."""

import json
import logging
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from translation_servers import Fault, TranslationServer

from mella_hf.answers.request_cache import RequestCache
from mella_hf.errors import MellaError, StageError
from mella_hf.ling.translate import CachedTranslator, choose_service, open_translator
from mella_hf.ling.translators.services import ATTEMPTS, QuotaExhaustedError, ServiceTranslator, service_code
from mella_hf.ling.translators.transport import Transport
from mella_hf.retry import TokenBucket

SECRET = "sk-7f3a9-very-secret:fx"
CAPTION = "A red  house stands on a hill. It has 3 windows!\n\nBehind it, Dr. Novak waters a tree. "


@pytest.fixture
def server():  # type: ignore[no-untyped-def]
    with TranslationServer() as running:
        yield running


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEEPL_API_KEY", "LIBRE_API_KEY", "MICROSOFT_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def libre(server: TranslationServer) -> ServiceTranslator:
    """A service that nobody waits for."""
    return ServiceTranslator("libre", server.url, requests_per_second=1e9, sleep=[].append)


def test_libretranslate_and_deepl_protocols(server: TranslationServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert libre(server).translate(["A house.", "Two & more = 100%"], "en", "cs") == [
        "[cs] A house.", "[cs] Two & more = 100%",
    ]  # fmt: skip
    monkeypatch.setenv("DEEPL_API_KEY", SECRET)
    server.key = SECRET
    deepl = ServiceTranslator("deepl", server.url, sleep=[].append)
    # Arabic: deep-translator's own table of DeepL's languages has none.
    assert deepl.translate(["A house."], "en", "ar") == ["[AR] A house."]
    path, headers, form = server.seen[-1]
    assert path == "/v2/translate" and form["source_lang"] == "EN"
    assert headers["Authorization"] == f"DeepL-Auth-Key {SECRET}"
    assert (deepl.name, libre(server).name) == (f"deepl@{server.url[7:]}", f"libre@{server.url[7:]}")


def test_google_s_page_and_microsoft_s_protocol(server: TranslationServer, monkeypatch: pytest.MonkeyPatch) -> None:
    google = ServiceTranslator("google", server.url, sleep=[].append)
    assert google.translate(["A house."], "en", "sr") == ["[sr] A house."]
    # deep-translator asks Microsoft's public address which languages there are, wherever the service is.
    monkeypatch.setenv("MICROSOFT_API_KEY", SECRET)
    send = Transport._send

    def to_loopback(self: Transport, method: str, url: str, **options: object) -> object:
        public = "https://api.cognitive.microsofttranslator.com/languages"
        return send(self, method, url.replace(public, f"{server.url}/languages"), **options)

    monkeypatch.setattr(Transport, "_send", to_loopback)
    microsoft = ServiceTranslator("microsoft", f"{server.url}/microsoft?api-version=3.0", sleep=[].append)
    assert microsoft.translate(["A house."], "en", "sr") == ["[sr-cyrl] A house."]
    assert server.seen[-1][1]["Ocp-Apim-Subscription-Key"] == SECRET
    server.faults = {len(server.seen) + 1: Fault(401, body=b'{"error": {"code": 401000, "message": "no"}}')}
    with pytest.raises(StageError, match="refuses the key .*MICROSOFT_API_KEY"):
        microsoft.translate(["A house."], "en", "sr")


def test_long_text_fits_a_request(server: TranslationServer) -> None:
    text = "word " * 390
    assert libre(server).translate([text], "en", "th") == [f"[th] {text}"]
    assert len(server.seen[0][0]) < 100  # not in the address


@pytest.mark.parametrize("fault", [Fault(500), Fault(503), Fault(200, body=b"<html>busy"), Fault(200, body=b"{}")])
def test_a_failing_service_is_asked_again(server: TranslationServer, fault: Fault) -> None:
    server.faults = {1: fault, 2: Fault(drop=True)}
    assert libre(server).translate(["A house."], "en", "ko") == ["[ko] A house."]
    assert len(server.seen) == 3


def test_a_service_that_keeps_failing_stops_the_run(server: TranslationServer) -> None:
    server.faults = {n: Fault(500) for n in range(1, 100)}
    with pytest.raises(StageError, match="status 500, 6 times"):
        libre(server).translate(["A house."], "en", "ko")
    assert len(server.seen) == ATTEMPTS


def test_retry_after_is_obeyed(server: TranslationServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By everyone; what a pause does is tested on a clock of its own, in test_rate_limit.py."""
    pauses: list[float] = []
    monkeypatch.setattr(TokenBucket, "pause", lambda bucket, seconds: pauses.append(seconds))
    server.faults = {1: Fault(429, {"Retry-After": "37"})}
    assert libre(server).translate(["A house."], "en", "ko") == ["[ko] A house."]
    assert pauses == [37.0]


@pytest.mark.parametrize("fault", [Fault(456), Fault(402), Fault(429, {"Retry-After": "43200"})])
def test_an_exhausted_quota_stops_at_once_and_keeps_what_was_paid(
    server: TranslationServer, tmp_path: Path, fault: Fault
) -> None:
    texts = [f"House number {n}." for n in range(1, 7)]
    server.faults = {4: fault}
    with RequestCache(tmp_path / "cache.sqlite") as cache:
        with pytest.raises(QuotaExhaustedError, match="run the same command again"):
            CachedTranslator(libre(server), cache, at_once=1).translate(texts, "en", "hu")
        assert len(cache) == 3
    server.faults = {}
    with RequestCache(tmp_path / "cache.sqlite") as cache:
        found = CachedTranslator(libre(server), cache, at_once=1).translate(texts, "en", "hu")
    assert found == [f"[hu] {text}" for text in texts]
    assert set(server.answered.values()) == {1} and len(server.answered) == 6


def test_the_key_is_nowhere(
    server: TranslationServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("LIBRE_API_KEY", SECRET)
    monkeypatch.setenv("DEEPL_API_KEY", SECRET)
    said = []
    for service in ("libre", "deepl"):
        for fault in (Fault(403, body=SECRET.encode()), Fault(400, body=f"bad key {SECRET}".encode()), Fault(500)):
            with TranslationServer() as other:
                other.faults = {n: fault for n in range(1, 9)}
                translator = ServiceTranslator(service, other.url, requests_per_second=1e9, sleep=[].append)
                with pytest.raises(StageError) as raised:
                    translator.translate(["A house."], "en", "cs")
                said += [*traceback.format_exception(raised.value), repr(raised.value), pickle.dumps(raised.value)]
                said += [path for path, _, _ in other.seen]
    closed = ServiceTranslator("libre", "http://127.0.0.1:9", requests_per_second=1e9, sleep=[].append)
    with pytest.raises(StageError, match="did not answer") as raised:
        closed.translate(["A house."], "en", "cs")
    said += [*traceback.format_exception(raised.value), caplog.text]
    with RequestCache(tmp_path / "cache.sqlite") as cache:
        CachedTranslator(libre(server), cache).translate(["A house."], "en", "cs")
    said += [path.read_bytes() for path in tmp_path.iterdir()]
    assert any("refuses the key" in str(text) for text in said)
    assert not any("very-secret" in str(text) for text in said)


def test_text_comes_back_in_its_own_shape(server: TranslationServer, tmp_path: Path) -> None:
    server.translate = lambda text, target: text.upper()
    short = ServiceTranslator("libre", server.url, requests_per_second=1e9)
    short.max_chars = 40
    with RequestCache(tmp_path / "cache.sqlite") as cache:
        translator = CachedTranslator(short, cache, at_once=1)
        assert translator.translate([CAPTION, "", " \n", CAPTION], "en", "cs") == [
            CAPTION.upper(), "", " \n", CAPTION.upper(),
        ]  # fmt: skip
    asked = [text for text, _ in server.asked]
    assert asked == [
        "A red  house stands on a hill.", "It has 3 windows!", "Behind it, Dr. Novak waters a tree.",
    ]  # fmt: skip
    assert set(server.asked.values()) == {1}


def test_a_text_of_which_a_piece_is_lost_is_lost(server: TranslationServer, tmp_path: Path) -> None:
    server.translate = lambda text, target: "" if "windows" in text else text
    short = libre(server)
    short.max_chars = 40
    with RequestCache(tmp_path / "cache.sqlite") as cache:
        assert CachedTranslator(short, cache).translate([CAPTION, "A tree."], "en", "cs") == ["", "A tree."]


def test_a_changed_version_or_language_is_another_question(server: TranslationServer, tmp_path: Path) -> None:
    with RequestCache(tmp_path / "cache.sqlite") as cache:
        for target, version in (("cs", "1"), ("cs", "1"), ("cs", "2"), ("hu", "2")):
            translator = libre(server)
            translator.version = version
            CachedTranslator(translator, cache).translate(["A house."], "en", target)
        assert len(server.seen) == 3 and len(cache) == 3


def test_killed_in_a_request_it_asks_for_nothing_twice(server: TranslationServer, tmp_path: Path) -> None:
    """The server kills its client at the third and, after a restart, at the fifth request."""
    script = (
        "import sys; from mella_hf.answers.request_cache import RequestCache;"
        "from mella_hf.ling.translators.services import ServiceTranslator;"
        "from mella_hf.ling.translate import CachedTranslator as C;"
        "c = RequestCache(sys.argv[2]); t = ServiceTranslator('libre', sys.argv[1]);"
        "print('pieces', len(C(t, c, at_once=1).translate([f'House {n}.' for n in range(8)], 'en', 'vi')))"
    )
    running: list[subprocess.Popen[str]] = []
    server.faults = {n: Fault(drop=True, then=lambda: running[-1].kill()) for n in (3, 6)}
    for _ in range(3):
        command = [sys.executable, "-c", script, server.url, str(tmp_path / "cache.sqlite")]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        out, _ = running[-1].communicate()
    assert out == "pieces 8\n"
    assert len(server.answered) == 8 and set(server.answered.values()) == {1}
    assert sum(server.asked.values()) == 8 + 2  # the two that were under way


def test_what_is_missing_is_what_is_not_known(server: TranslationServer, tmp_path: Path) -> None:
    with RequestCache(tmp_path / "cache.sqlite") as cache:
        translator = CachedTranslator(libre(server), cache)
        translator.translate(["Known."], "en", "cs")
        texts = ["Known.", "12345", "12345", "1234567890"]
        assert translator.missing(texts, "en", "cs") == ["12345", "1234567890"]
        assert translator.pieces(texts) == ["Known.", "12345", "1234567890"]
    assert len(server.seen) == 1


def test_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_service("cs") == "google"  # DeepL stands first, but has no key
    monkeypatch.setenv("DEEPL_API_KEY", SECRET)
    assert choose_service("cs") == "deepl"
    assert choose_service("sr") == "google"
    assert service_code("nllb", "sr") == "srp_Cyrl" and service_code("microsoft", "sr") == "sr-cyrl"
    with pytest.raises(MellaError, match="'deepl' does not cover 'sr'; these do: google, microsoft, nllb, madlad"):
        service_code("deepl", "sr")


def test_bad_choices_name_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MellaError, match="--translator-url"):
        open_translator("libre", "cs")
    with pytest.raises(MellaError, match="DEEPL_API_KEY"):
        open_translator("deepl", "cs")
    with pytest.raises(MellaError, match="facebook/nllb"):
        open_translator("/no/such/folder", "cs")


def test_a_broken_cache_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache.sqlite").write_text("no database " * 99)
    with pytest.raises(MellaError, match=r"cache\.sqlite cannot be read"):
        RequestCache(tmp_path / "cache.sqlite")


@pytest.mark.parametrize("answer", [7, ["a"], {"a": 1}, "half \ud83d"])
def test_an_answer_that_is_no_text_leaves_that_text_out(server: TranslationServer, answer: object) -> None:
    """The text is asked for three times; the next one is translated as usual."""
    bad = Fault(200, {"Content-Type": "application/json"}, json.dumps({"translatedText": answer}).encode())
    server.faults = {1: bad, 2: bad, 3: bad}
    translator = libre(server)
    assert translator.translate(["One.", "Two."], "en", "cs") == ["", "[cs] Two."]


def test_a_server_whose_answers_never_are_texts_ends_the_run(server: TranslationServer) -> None:
    server.faults = {
        n: Fault(200, {"Content-Type": "application/json"}, b'{"translatedText": 1}') for n in range(1, 99)
    }
    translator = libre(server)
    with pytest.raises(StageError, match="answers of the translation service .* cannot be read: .*translatedText"):
        translator.translate([f"{n}." for n in range(20)], "en", "cs")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_does_not_take_the_key_elsewhere(
    server: TranslationServer, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBRE_API_KEY", "secret-key")
    with TranslationServer() as elsewhere:
        server.faults = {1: Fault(status, {"Location": f"{elsewhere.url}/translate"})}
        translator = libre(server)
        with pytest.raises(StageError, match=rf"answers with a redirect \(status {status}\)") as error:
            translator.translate(["One."], "en", "cs")
        assert elsewhere.seen == [] and "secret-key" not in str(error.value)
