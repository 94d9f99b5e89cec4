"""What servers really send: contents in parts, broken characters, absurd headers, redirects, errors in words."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mella_hf.answers.chat.replies import Completion, read_completion
from mella_hf.answers.chat.servers import LONGEST_WAIT, ChatServers
from mella_hf.errors import MellaError, StageError
from mella_hf.keys import without_password

SECRETS = ("sk-live-0001", "hunter2-0002")


@contextmanager
def server(answer: Callable[[int], tuple[int, bytes, dict[str, str]]]) -> Iterator[tuple[str, list[str]]]:
    """A real HTTP server on loopback; `answer` gets the number of the request. Yields its address and the paths."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            status, body, headers = answer(len(paths))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{http.server_port}", paths
    http.shutdown()
    http.server_close()


def good(text: Any = "A cat.", **usage: Any) -> bytes:
    message = {"message": {"content": text}, "finish_reason": "stop"}
    return json.dumps({"choices": [message], "usage": usage}).encode()


def ask(url: str, count: int = 4, waited: list[float] | None = None) -> tuple[dict[int, str], dict[int, Completion]]:
    async def pause(seconds: float) -> None:
        (waited if waited is not None else []).append(seconds)

    servers = ChatServers("m", [url], at_once=1, called="caption server", key_variable="FAKE_KEY", pause=pause)
    answers: dict[int, Completion] = {}
    failed = servers.ask(count, lambda i: {"messages": []}, answers.__setitem__)
    return dict(failed), answers


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (good([{"type": "text", "text": "A "}, {"type": "image_url"}, {"type": "text", "text": "cat."}]), "A cat."),
        (good(None), ""),
        (good("A cat.", prompt_tokens="9", completion_tokens=-3), "A cat."),
        (b'{"choices": [{"message": {"content": "A cat."}}], "usage": {"prompt_tokens": 1e400}}', "A cat."),
        (b'{"choices": [{"message": {"content": "A cat."}}], "usage": [1]}', "A cat."),
    ],
)
def test_replies_of_other_shapes_are_read(body: bytes, text: str) -> None:
    found = read_completion(body)
    assert (found.text, found.prompt_tokens, found.completion_tokens) == (text, 0, 0)


@pytest.mark.parametrize(
    "body",
    [b"[" * 300_000, b"null", b"\xff\xfe", b'{"choices": []}', b'{"choices": [{"message": null}]}', good(7),
     good({"a": 1}), good("half \ud83d"), b'{"choices": [{"message": {"content": "x"}}' + b" " * 10],
)  # fmt: skip
def test_a_reply_that_cannot_be_read_is_that_requests_reason(body: bytes) -> None:
    with server(lambda n: (200, good() if n == 1 else body, {})) as (host, paths):
        failed, answers = ask(f"http://{host}/v1", 2)
    assert failed == {1: "unreadable"} and list(answers) == [0]
    assert len(paths) == 1 + 3  # the same thing three times is final


def test_a_500_that_always_says_the_same_ends_the_run_with_its_words() -> None:
    said = b'{"error": {"message": "image input is not supported - hint: provide the mmproj"}}'
    with server(lambda n: (500, said, {})) as (host, _), pytest.raises(StageError) as error:
        ask(f"http://{host}/v1")
    assert "refuses every request (status_500): " in str(error.value) and "provide the mmproj" in str(error.value)


def test_a_400_keeps_the_servers_words_with_the_request() -> None:
    with server(lambda n: (400, b"Invalid model name", {}) if n == 2 else (200, good(), {})) as (host, _):
        failed, _ = ask(f"http://{host}/v1", 3)
    ((index, reason),) = failed.items()
    assert reason == "status_400" and reason.said == ": 'Invalid model name'"  # type: ignore[attr-defined]


def test_an_absurd_retry_after_is_capped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    waited: list[float] = []
    faults = {1: "9" * 400, 2: "Fri, 31 Dec 9999 23:59:59 GMT", 3: "soon"}
    with (
        caplog.at_level(logging.WARNING),
        server(lambda n: (429, b"", {"Retry-After": faults[n]}) if n in faults else (200, good(), {})) as (host, _),
    ):
        failed, answers = ask(f"http://{host}/v1", 1, waited)
    assert not failed and len(answers) == 1
    assert waited[:2] == [LONGEST_WAIT, LONGEST_WAIT] and waited[2] < 2
    assert len([r for r in caplog.records if "asks to wait" in r.message]) == 2


def test_a_redirect_is_not_followed() -> None:
    with server(lambda n: (200, good(), {})) as (elsewhere, asked):
        with (
            server(lambda n: (307, b"", {"Location": f"http://{elsewhere}/v1/chat/completions"})) as (host, _),
            pytest.raises(StageError, match=r"redirect \(status 307\)"),
        ):
            ask(f"http://{host}/v1")
        assert asked == []


@pytest.mark.parametrize("status", [401, 403, 404, 500, 400, 200, 307])
def test_no_secret_is_in_any_message(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAKE_KEY", SECRETS[0])
    said = f"wrong key {SECRETS[0]}".encode()
    texts = []
    with server(lambda n: (status, said, {"Retry-After": "99999"})) as (host, _):
        try:
            failed, _ = ask(f"http://layla:{SECRETS[1]}@{host}/v1", 2)
            texts += [f"{reason} {getattr(reason, 'said', '')}" for reason in failed.values()]
        except (StageError, MellaError) as error:
            texts.append(str(error))
    assert texts and not any(secret in text for secret in SECRETS for text in [*texts, caplog.text])


def test_a_key_and_a_password_together_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", SECRETS[0])
    with pytest.raises(MellaError, match="has a password in its address, and FAKE_KEY holds a key") as error:
        ask(f"http://layla:{SECRETS[1]}@127.0.0.1:9/v1")
    assert not any(secret in str(error.value) for secret in SECRETS)


@pytest.mark.parametrize("key", ["sk\nx", "sk\r\nHost: evil", "ключ"])
def test_a_key_that_no_header_can_hold_is_named_by_its_variable(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", key)
    with pytest.raises(MellaError, match="The key in FAKE_KEY has a line break") as error:
        ask("http://127.0.0.1:9/v1")
    assert key not in str(error.value)


def test_addresses_in_messages_have_no_password() -> None:
    assert without_password("http://u:p@host:1/v1?key=s") == "http://host:1/v1"
    assert without_password("u:p@host") == "host"
    with pytest.raises(MellaError) as error:
        ChatServers("m", ["ftp://u:hunter2@h/v1"], called="x", key_variable="FAKE_KEY")
    assert "hunter2" not in str(error.value)
