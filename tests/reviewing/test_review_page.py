"""The page in a real browser, on a real server that is killed while a reviewer works: nothing is lost."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from described_pictures import described
from playwright.sync_api import Page, expect
from ports import reserved_port

from mella_hf.reviewing.queue import read_items
from mella_hf.reviewing.store import ReviewStore

EDITED = "دائرة حمراء كبيرة تتوسط الصورة."


class Server:
    """`mella review` as a process, on a port that stays the same over restarts."""

    def __init__(self, port: int, queue: Path, *flags: str):
        self.port, self.queue, self.flags, self.links = port, queue, flags, dict[str, str]()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, *flags: str) -> None:
        command = [sys.executable, "-m", "mella_hf.cli", "review", str(self.queue), "--port", str(self.port)]
        self.process = subprocess.Popen([*command, *self.flags, *flags], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        for line in self.process.stdout:
            if found := re.match(r"(\w+): (http://\S+token=\S+)", line):
                self.links[found[1]] = found[2]
            if "samples;" in line:
                return
        pytest.fail(f"the server ended with {self.process.wait()}")

    def stop(self, sign: int = signal.SIGTERM) -> None:
        self.process.send_signal(sign)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def ask(
        self, path: str, token: str = "", body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[int, str]:
        # Kept alive, so that an answer that comes before the whole body was read does not break the connection off.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        headers = {"Cookie": f"mella_review={token}", "Content-Type": kind}
        with closing(connection):
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Makes servers with a port of their own; those that still run when the test ends are killed."""
    with ExitStack() as stack:

        def make(queue: Path, *flags: str) -> Server:
            server = Server(stack.enter_context(reserved_port()), queue, *flags)
            stack.callback(server.stop, signal.SIGKILL)
            return server

        yield make


def shown(page: Page) -> str:
    """The text to judge, once there is one."""
    expect(page.locator("#text")).to_be_visible()
    return page.locator("#text").text_content() or ""


def source(page: Page) -> str:
    """Where the image comes from: another for each sample."""
    return page.locator("#image").get_attribute("src") or ""


def press(page: Page, key: str) -> None:
    """A key that decides; returns when the next sample is there."""
    before = source(page)
    page.keyboard.press(key)
    expect(page.locator("#image")).not_to_have_attribute("src", before)


def test_a_reviewer_works_through_ten_samples(queue_folder: Path, make_server: Any, new_page: Any) -> None:
    server = make_server(queue_folder, "--double", "0")
    server.start("--reviewer", "layla", "--reviewer", "omar")
    page = new_page(viewport={"width": 1280, "height": 900})
    trouble: list[str] = []
    # net::ERR_…: the server is away for a while.
    page.on("console", lambda message: trouble.append(message.text) if "net::ERR_" not in message.text else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda r: trouble.append(r.url) if not r.url.startswith(server.url) else None)
    page.goto(server.links["layla"])
    texts = [shown(page)]
    assert "token" not in page.url
    assert "حمراء" in texts[0] or "แดง" in texts[0]  # the lowest score first
    folder = os.environ.get("REVIEW_PICTURES")  # where to leave screenshots to look at
    for number in range(10):
        arabic = "دائرة" in texts[-1]
        expect(page.locator("#text")).to_have_attribute("lang", "ar" if arabic else "th")
        expect(page.locator("#text")).to_have_attribute("dir", "rtl" if arabic else "ltr")
        if folder and number == 0:
            page.screenshot(path=f"{folder}/judge.png")
        if "حمراء" in texts[-1]:
            page.keyboard.press("e")
            page.locator("#edited").fill(EDITED)
            if folder:
                page.screenshot(path=f"{folder}/edit.png")
            press(page, "Control+Enter")
        elif number == 4:
            page.keyboard.press("r")
            expect(page.locator("#rejection")).to_be_visible()
            if folder:
                page.screenshot(path=f"{folder}/reject.png")
            press(page, "2")
        elif number == 6:
            server.stop(signal.SIGKILL)
            page.keyboard.press("a")  # decided while there is no server
            expect(page.locator("#notice")).to_contain_text("The server does not answer")
            before = source(page)
            server.start()
            expect(page.locator("#image")).not_to_have_attribute("src", before)
            expect(page.locator("#notice")).to_be_hidden()
        else:
            press(page, "a")
        texts.append(shown(page))
    assert len(set(texts)) == 11
    expect(page.locator("#count")).to_have_text("10 of 12, 10 by you")
    page.keyboard.press("b")
    expect(page.locator("#earlier")).to_have_text("You said: accept")
    expect(page.locator("#text")).to_have_text(texts[9])
    if folder:
        page.set_viewport_size({"width": 390, "height": 844})
        page.screenshot(path=f"{folder}/phone.png")
    assert trouble == []
    page.close()
    server.stop(signal.SIGKILL)
    by_key = {item.key: item for item in read_items(queue_folder)}
    store = ReviewStore(queue_folder.with_name(queue_folder.name + ".review.sqlite"))
    history = store.history()
    store.close()
    assert [by_key[d.sample, d.language].text for d in history] == texts[:10]
    assert sorted(d.action for d in history) == ["accept"] * 8 + ["edit", "reject"]
    assert {d.text for d in history if d.action == "edit"} == {EDITED}
    assert {d.reason for d in history if d.action == "reject"} == {"Not fluent, no speaker would say it so"}


def test_a_taken_port_is_named(queue_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "mella_hf.cli", "review", str(queue_folder), "--reviewer", "layla", "--port"]
        result = subprocess.run([*command, str(taken.getsockname()[1])], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.search(r"^error: Cannot listen on 127.0.0.1 port \d+: .* choose another --port\.$", result.stderr.strip())


def test_texts_are_shown_and_never_run(tmp_path: Path, make_server: Any, new_page: Any) -> None:
    from mella_hf.dataset.write import write_split

    row = described("ar")[0]
    row["text"] = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
    row["caption_en"] = "</p><script>window.ran = 1</script>"
    write_split([row], tmp_path / "queue", "ar", "ling")
    server = make_server(tmp_path / "queue")
    server.start("--reviewer", "layla")
    page = new_page()
    page.goto(server.links["layla"])
    expect(page.locator("#text")).to_have_text(row["text"])
    expect(page.locator("#english")).to_have_text(row["caption_en"])
    assert page.evaluate("window.ran") is None
    assert page.locator("#sample script, #sample img:not(#image)").count() == 0
    page.close()
    server.stop()


def test_nothing_is_told_to_strangers(queue_folder: Path, make_server: Any) -> None:
    server = make_server(queue_folder)
    server.start("--reviewer", "layla", "--reviewer", "omar")
    sample = read_items(queue_folder)[0]
    token = {name: link.split("token=")[1] for name, link in server.links.items()}
    good = json.dumps({"id": sample.id, "language": sample.language, "action": "accept"}).encode()
    for path in ("/api/settings", "/api/next", "/api/back", f"/image/{sample.language}/{sample.id}"):
        for stranger in ("", "wrong", token["layla"][:-1]):
            status, body = server.ask(path, stranger)
            assert status == 401 and sample.text not in body
    assert server.ask("/api/decisions", "wrong", good)[0] == 401
    assert server.ask("/")[0] == 401 and server.ask("/?token=wrong")[0] == 401
    seen = "".join(server.ask(path, token["layla"])[1] for path in ("/", "/api/settings", "/api/next", "/review.js"))
    assert not any(secret in seen for secret in token.values())
    assert server.ask("/api/decisions", token["layla"], good, "text/plain")[0] == 415  # what other sites could send
    assert server.ask("/api/decisions", token["layla"], b"[]")[0] == 400
    assert server.ask("/api/decisions", token["layla"], b"{" + b" " * 2_000_000)[0] == 413
    wrong = json.dumps({"id": sample.id, "language": sample.language, "action": "first"}).encode()
    assert "Unknown action 'first'" in server.ask("/api/decisions", token["layla"], wrong)[1]
    assert server.ask("/api/decisions", token["layla"], good) == (200, '{"saved":true}')
    assert server.ask("/..%2fstore.py", token["layla"])[0] == 404
    with socket.socket() as outside:  # bound to loopback only
        outside.settimeout(2)
        address = socket.gethostbyname(socket.gethostname())
        if not address.startswith("127."):
            assert outside.connect_ex((address, server.port)) != 0
    server.stop()


def test_two_systems_are_compared_blindly(tmp_path: Path, make_server: Any, new_page: Any) -> None:
    from mella_hf.dataset.write import write_split

    rows = described("ar")
    write_split(rows, tmp_path / "mella", "ar", "ling_test")
    for name, answer in (("good", "دائرة كبيرة"), ("bad", "مربع صغير")):
        lines = [json.dumps({"id": row["id"], "prompt": "صف الصورة", "prediction": answer}) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
    flags = ("--answers", str(tmp_path / "good.jsonl"), "--answers", str(tmp_path / "bad.jsonl"))
    server = make_server(tmp_path / "mella", *flags)
    server.start("--reviewer", "layla")
    page = new_page(viewport={"width": 1280, "height": 900})
    page.goto(server.links["layla"])
    for number in range(6):
        expect(page.locator("#compare")).to_be_visible()
        expect(page.locator("#image")).to_be_visible()
        expect(page.locator("#image")).to_have_js_property("complete", True)
        expect(page.locator("#image")).to_have_js_property("naturalWidth", 360)
        assert "good" not in page.content()
        left = page.locator("#left span").text_content() == "دائرة كبيرة"
        if number == 0 and (folder := os.environ.get("REVIEW_PICTURES")):
            page.screenshot(path=f"{folder}/compare.png")
        if number < 5:
            press(page, "1" if left else "2")
        else:
            page.keyboard.press("3")
            expect(page.locator("#done")).to_be_visible()
    page.close()
    server.stop()
    command = [sys.executable, "-m", "mella_hf.cli", "review", str(tmp_path / "mella"), *flags, "--status"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (found["choices"]["first"], found["choices"]["second"], found["choices"]["tie"]) == (5, 0, 1)
    assert found["choices"]["p_value"] == pytest.approx(2 / 32)
    assert found["reviewers"] == {"layla": {"first": 5, "tie": 1}}
