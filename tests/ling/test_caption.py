"""Captioners against a real server on loopback and a tiny random Qwen2-VL; checks against answers judged by hand."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from caption_server import CaptionServer
from PIL import Image

from mella_hf.answers.chat.servers import KEY_VARIABLE
from mella_hf.answers.request_cache import RequestCache
from mella_hf.errors import MellaError, StageError
from mella_hf.ling.caption import PROMPT, SECOND_PROMPT, CaptionAnswer, caption_images, caption_problem
from mella_hf.ling.captioners import ServerCaptioner, TransformersCaptioner

PATIENCE = 240  # seconds until a server answers whatever happens, so that a fault does not hang the test

GOOD = (
    "A small red house with a grey roof stands on a green hill. Two windows and a brown door face the viewer. "
    "Behind it, three tall trees rise into a pale blue sky."
)


@pytest.mark.parametrize(
    ("text", "truncated", "problem"),
    [
        (GOOD, False, None),
        ("The sign says \"I'm sorry, we are closed\" in white letters on a red board. Below it, a glass door is shut.",
         False, None),
        ("Sorry, but I cannot describe this picture because it may show a real person or something private.", False,
         "caption_refusal"),
        ("  \n", False, "caption_empty"),
        ("...", False, "caption_empty"),
        ("I'm sorry, but I can't help with identifying people in images of this kind, even when asked twice.", False,
         "caption_refusal"),
        ("As an AI language model I am not able to look at pictures, so no description can be given here.", False,
         "caption_refusal"),
        (GOOD, True, "caption_truncated"),
        ("A red house.", False, "caption_short"),
        ("A red house on a hill and a red house on a hill and a red house on a hill and a red house on a hill.", False,
         "caption_repeats"),
        ("Malý červený dům se šedou střechou stojí na zeleném kopci a za ním rostou tři vysoké stromy.", False,
         "caption_not_english"),
        ("На зелёном холме стоит маленький красный дом с серой крышей, а за ним растут три высоких дерева.", False,
         "caption_not_english"),
    ],
)  # fmt: skip
def test_answers_of_no_use_are_told(text: str, truncated: bool, problem: str | None) -> None:
    assert caption_problem(CaptionAnswer(text, truncated)) == problem


def images(count: int) -> list[tuple[str, Image.Image]]:
    return [(f"id{n}", Image.new("RGB", (40 + n, 30), (9 * n % 256, 80, 160))) for n in range(count)]


def describe(image: Image.Image, prompt: str) -> str:
    """A good answer that depends on the image."""
    return f"{GOOD} The picture is {image.width} wide."


async def no_pause(seconds: float) -> None:
    await asyncio.sleep(0)


def test_the_request_is_openai_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-captioner")
    with CaptionServer(describe) as server, RequestCache(tmp_path / "c.sqlite") as cache:
        captions = caption_images(ServerCaptioner("some/model", [server.url]), images(1), cache)
        body, headers = server.requests[0]
    assert captions["id0"].text == describe(images(1)[0][1], "")
    assert headers["Authorization"] == "Bearer sk-captioner"
    assert body["model"] == "some/model" and body["temperature"] == 0 and body["max_tokens"] == 512
    assert body["messages"][0]["content"][1] == {"type": "text", "text": PROMPT}
    assert b"sk-captioner" not in (tmp_path / "c.sqlite").read_bytes()


def test_a_bad_answer_is_asked_for_once_more_in_other_words_then_counted(tmp_path: Path) -> None:
    def stubborn(image: Image.Image, prompt: str) -> object:
        if image.width == 40:
            return "I cannot describe this image."
        if image.width == 41:
            return (GOOD, "length") if prompt == PROMPT else GOOD
        return GOOD

    with CaptionServer(stubborn) as server, RequestCache(tmp_path / "c.sqlite") as cache:
        captioner = ServerCaptioner("m", [server.url])
        captions = caption_images(captioner, images(3), cache)
        assert len(server.requests) == 3 + 2
        assert {prompt for prompt, _ in server.answered} == {PROMPT, SECOND_PROMPT}
        assert caption_images(captioner, images(3), cache) == captions
        assert len(server.requests) == 5  # all of it was kept, bad answers too
    assert (captions["id0"].problem, captions["id0"].retried) == ("caption_refusal", True)
    assert (captions["id1"].problem, captions["id1"].retried) == (None, True)
    assert (captions["id2"].problem, captions["id2"].retried) == (None, False)


def test_requests_at_once_are_bounded_and_several(tmp_path: Path) -> None:
    together = threading.Barrier(3)  # breaks when twelve requests do not come in threes

    def gather(number: int) -> None:
        together.wait(PATIENCE)
        time.sleep(0.02)  # for a fourth to come

    with CaptionServer(describe, before=gather) as server, RequestCache(tmp_path / "c.sqlite") as cache:
        caption_images(ServerCaptioner("m", [server.url], at_once=3), images(12), cache)
    assert server.most == 3 and not together.broken


def test_a_dying_server_loses_nothing_and_a_slow_one_does_less(tmp_path: Path) -> None:
    taken: list[int] = []
    most_done = threading.Event()

    def dying(image: Image.Image, prompt: str) -> str | None:
        taken.append(1)
        if len(taken) <= 2:
            return describe(image, prompt)
        first.close()  # nobody listens any more
        return None

    def count(number: int) -> None:
        if number == 20:
            most_done.set()

    with (
        CaptionServer(dying) as first,
        CaptionServer(describe, before=count) as fast,
        CaptionServer(describe, before=lambda number: most_done.wait(PATIENCE)) as slower,
        RequestCache(tmp_path / "c.sqlite") as cache,
    ):
        urls = [first.url, fast.url, slower.url]
        captions = caption_images(ServerCaptioner("m", urls, at_once=1, pause=no_pause), images(30), cache)
    assert [c.text for c in captions.values()] == [describe(image, "") for _, image in images(30)]
    assert sum(first.answered.values()) == 2
    assert sum(fast.answered.values()) >= 20
    total = first.answered + fast.answered + slower.answered
    assert len(total) == 30 and set(total.values()) == {1}


def test_an_image_that_no_server_takes_is_counted_and_the_others_go_on(tmp_path: Path) -> None:
    with (
        CaptionServer(lambda i, p: {41: 400, 42: 500}.get(i.width) or GOOD) as server,
        CaptionServer(lambda i, p: {41: 400, 42: 500}.get(i.width) or GOOD) as other,
        RequestCache(tmp_path / "c.sqlite") as cache,
    ):
        captioner = ServerCaptioner("m", [server.url, other.url], at_once=2, pause=no_pause)
        captions = caption_images(captioner, images(6), cache)
    assert captions["id1"].problem == "captioner_status_400"
    assert captions["id2"].problem == "captioner_unanswered_status_500"
    assert [c.problem for n, c in captions.items() if n not in ("id1", "id2")] == [None] * 4


def test_a_server_that_refuses_every_image_is_at_fault_itself(tmp_path: Path) -> None:
    status = [400]
    with CaptionServer(lambda i, p: status[0] or GOOD) as server, RequestCache(tmp_path / "c.sqlite") as cache:
        captioner = ServerCaptioner("text-only", [server.url], at_once=1, pause=no_pause)
        with pytest.raises(StageError, match=r"'text-only' accepted none of 6 images \(status_400: .*as told"):
            caption_images(captioner, images(6), cache)
        assert len(cache) == 0
        few = caption_images(captioner, images(2), cache)  # too few to tell: it is the images
        assert [c.problem for c in few.values()] == ["captioner_status_400"] * 2
        status[0] = 0
        captions = caption_images(captioner, images(20), cache)
    assert [c.problem for c in captions.values()] == ["captioner_status_400"] * 2 + [None] * 18
    assert len(server.requests) == 6 + 2 + 18  # what was refused is an answer


def test_busy_servers_are_waited_for(tmp_path: Path) -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    answers = [429] * 9
    with (
        CaptionServer(lambda i, p: answers.pop() if answers else GOOD) as server,
        RequestCache(tmp_path / "c.sqlite") as cache,
    ):
        server.headers = {"Retry-After": "7"}
        captions = caption_images(ServerCaptioner("m", [server.url], at_once=1, pause=note), images(4), cache)
    assert [c.problem for c in captions.values()] == [None] * 4
    assert waits == [7.0] * 9


def test_no_server_left_stops_the_run_and_keeps_what_was_said(tmp_path: Path) -> None:
    said: list[int] = []

    def dying(image: Image.Image, prompt: str) -> str | None:
        said.append(1)
        return GOOD if len(said) <= 2 else None

    with CaptionServer(dying) as server, RequestCache(tmp_path / "c.sqlite") as cache:
        captioner = ServerCaptioner("m", [server.url], at_once=1, pause=no_pause)
        with pytest.raises(StageError, match="None of the caption servers answers"):
            caption_images(captioner, images(20), cache)
        assert len(cache) == 2
    with pytest.raises(StageError, match="refuses the request"), CaptionServer(lambda i, p: 404) as server:
        ServerCaptioner("wrong", [server.url]).caption([images(1)[0][1]], PROMPT, lambda i, a: None)
    with pytest.raises(MellaError, match="is not an address"):
        ServerCaptioner("m", ["localhost:8000"])


def test_a_checkpoint_in_this_process(tiny_qwen2vl: Path, tmp_path: Path) -> None:
    """Random weights: what it says is nonsense, and is counted as such."""
    captioner = TransformersCaptioner(str(tiny_qwen2vl), batch_size=2, max_tokens=6)
    with RequestCache(tmp_path / "c.sqlite") as cache:
        captions = caption_images(captioner, images(3), cache)
        again = caption_images(captioner, images(3), cache)
        assert len(cache) == 6 and again == captions
    assert captioner.name == tiny_qwen2vl.name
    assert {c.problem for c in captions.values()} <= {
        "caption_truncated", "caption_short", "caption_repeats", "caption_empty", "caption_not_english",
    }  # fmt: skip
