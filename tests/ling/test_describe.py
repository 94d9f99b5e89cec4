"""`mella describe` from images to a dataset, over real servers on loopback; whoever is asked counts."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from build_comet import COMET_PYTHON
from caption_server import CaptionServer
from interpreter import LANGUAGES, Interpreter, as_sent
from PIL import Image
from translation_servers import Fault, TranslationServer

from mella_hf.errors import StageError
from mella_hf.images.opening import open_image
from mella_hf.ling.describe import describe_images, funnel_lines
from mella_hf.ling.describe_settings import DescribeSettings
from mella_hf.ling.described import read_rows

REFUSED, BAD_TRANSLATION = "03.png", "05.png"


@pytest.fixture
def servers() -> Iterator[tuple[CaptionServer, TranslationServer]]:
    interpreter = Interpreter()
    with CaptionServer(interpreter.caption) as captions, TranslationServer(interpreter.translate) as translations:
        yield captions, translations


def settings(captions: CaptionServer, translations: TranslationServer, qe_model: Path | None) -> DescribeSettings:
    return DescribeSettings(
        "stand-in (templates over measures)", (captions.url,), "libre", translations.url,
        translator_label="stand-in (templates)", at_once=1, qe_python=COMET_PYTHON,
        qe_model=str(qe_model) if qe_model else None, license="GPL-2", test_size=0,
    )  # fmt: skip


def rejects(out: Path, language: str) -> Counter[str]:
    lines = (out / "rejects" / f"{language}-ling.jsonl").read_text("utf-8").splitlines()
    return Counter(f"{json.loads(line)['reason']} {json.loads(line)['where']}" for line in lines)


def expected_scores(comet: Path) -> dict[tuple[str, str], float]:
    """What the COMET library's own `predict` says of (caption, translation)."""
    pairs = json.loads((comet / "pairs.json").read_text("utf-8"))
    scores = json.loads((comet / "predicted.json").read_text())
    return {(source, translation): score for (source, translation), score in zip(pairs, scores, strict=True)}


def pairs_in(out: Path, language: str) -> list[tuple[str, str]]:
    """The (caption, translation) that were judged."""
    folders = sorted((out / ".describe" / f"translate-{language}").glob("0*"))
    rows = [row for folder in folders for row in read_rows(folder)]
    return [(row["caption_en"], candidate["text"]) for row in rows for candidate in row["candidates"]]


def test_images_become_a_dataset(
    pictures: Path, servers: tuple[CaptionServer, TranslationServer], tiny_comet: Path, tmp_path: Path
) -> None:
    from datasets import load_dataset

    captions, translations = servers
    out = tmp_path / "out"
    use = settings(captions, translations, tiny_comet)
    report = describe_images(pictures, out, LANGUAGES, use, progress=False)

    predicted = expected_scores(tiny_comet)
    for code in LANGUAGES:
        scores = {pair: predicted[pair] for pair in pairs_in(out, code)}
        assert len(scores) == 10 and min(abs(score - 0.75) for score in scores.values()) > 1e-4
        good = {pair: score for pair, score in scores.items() if score >= 0.75}
        assert 2 <= len(good) <= 8  # or the threshold would decide nothing
        judged = [row for folder in report.verdicts[code].outputs for row in read_rows(folder)]
        assert {(row["caption_en"], row["text"]): row["qe_score"] for row in judged} == pytest.approx(good, abs=1e-4)
        assert report.verdicts[code].dropped == {"low_quality": len(scores) - len(good)}
        lines = (out / f".describe/judge-{code}/rejects/00000.jsonl").read_text("utf-8").splitlines()
        left_out = {(line["caption_en"], line["text"]): line["qe_score"] for line in map(json.loads, lines)}
        assert left_out == pytest.approx({pair: scores[pair] for pair in scores.keys() - good.keys()}, abs=1e-4)

    rows = load_dataset(str(out), "cs", split="ling")
    assert report.captions.dropped == {"duplicate_bytes": 1, "image_broken": 1}
    lost = rejects(out, "cs")
    assert len(rows) + sum(lost.values()) == 12  # every image is in the dataset, or in the rejects with its reason
    assert lost["image_broken 10.png"] == 1 and lost["duplicate_bytes 11.png"] == 1
    row = rows[0]
    assert row["captioner"] == "stand-in (templates over measures) prompt 1"
    assert row["translator"] == "stand-in (templates)"
    assert row["qe_model"].startswith("stand-in-random-comet ")
    assert 0.75 <= row["qe_score"] <= 1 and row["review"] is None and row["source"] == "ling"
    assert row["license"] == "GPL-2" and row["text"] != row["caption_en"] and row["collected_at"] is not None
    funnel = json.loads((out / "funnel.json").read_text())
    assert funnel["cs"]["ling"]["kept"] == len(rows)

    page = (out / "report.html").read_text("utf-8")
    assert row["text"] in page and "<b>1</b> image broken" in page and 'src="http' not in page
    steps = {step["name"]: step for step in json.loads((out / "report.json").read_text("utf-8"))["steps"]}
    assert (steps["Captions"]["entered"], steps["Captions"]["kept"]) == (12, 10)
    assert steps["Good translations, Arabic"]["kept"] == report.verdicts["ar"].counts["kept"]

    asked = len(captions.requests), len(translations.seen)
    again = describe_images(pictures, out, LANGUAGES, use, progress=False)
    assert (len(captions.requests), len(translations.seen)) == asked
    assert again.captions.ran == 0 and again.build is not None and again.build.ran == 0


SAID = "A small bird stands on a thin branch in front of a white wall. Its wings are brown and its head is black."
NATIVE = "Malý pták stojí na tenké větvi před bílou zdí. Křídla má hnědá a hlavu černou."


def lesson(processor: Any, image: Image.Image) -> dict[str, Any]:
    """A picture, the prompt and the answer, with the loss on the answer."""
    import torch

    from mella_hf.ling.caption import PROMPT

    question = [{"type": "image", "image": image}, {"type": "text", "text": PROMPT}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
    )  # fmt: skip
    answer = torch.tensor([processor.tokenizer(SAID + "<|im_end|>")["input_ids"]])
    start = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat((inputs["input_ids"], answer), dim=1)
    for name in ("attention_mask", "mm_token_type_ids"):
        if name in inputs:
            inputs[name] = torch.cat((inputs[name], torch.full_like(answer, name == "attention_mask")), dim=1)
    labels = inputs["input_ids"].clone()
    labels[:, :start] = -100
    return {**inputs, "labels": labels}


@pytest.fixture(scope="module")
def taught_captioner(pictures: Path, tiny_qwen2vl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny random Qwen2-VL after a few seconds of training: it says one English text of every picture."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(tiny_qwen2vl, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(tiny_qwen2vl)
    lessons = [lesson(processor, open_image((pictures / f"{n:02d}.png").read_bytes())) for n in range(0, 10, 3)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(160):
        loss = model(**lessons[step % len(lessons)]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.02, "the tiny captioner did not learn its text"
    folder = tmp_path_factory.mktemp("captioner") / "stand-in-taught-qwen2vl"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_the_command_with_every_model_in_miniature(
    pictures: Path, taught_captioner: Path, tiny_comet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import load_dataset
    from typer.testing import CliRunner

    import mella_hf  # noqa: F401  makes "mella" known
    from mella_hf.cli import app

    monkeypatch.setenv("MELLA_COMET_PYTHON", str(COMET_PYTHON))
    with TranslationServer(lambda text, target: NATIVE if text == SAID else text) as server:
        arguments = ["describe", str(pictures), "--out", str(tmp_path / "out"), "--languages", "cs"]
        arguments += ["--captioner", str(taught_captioner), "--translator", "libre", "--translator-url", server.url]
        arguments += ["--qe-model", str(tiny_comet), "--threshold", "0.5", "--test-size", "0"]
        said = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert sum(server.asked.values()) == 1  # one text, whatever the number of pictures
    assert "judge-cs: kept 10; left out 0" in said.output, said.output
    row = load_dataset("mella", "cs", split="ling", data_dir=str(tmp_path / "out"))[0]
    assert (row["caption_en"], row["text"]) == (SAID, NATIVE)
    assert row["captioner"].startswith("stand-in-taught-qwen2vl") and row["translator"] == f"libre@{server.url[7:]}"
    assert row["qe_model"].startswith("stand-in-random-comet")


def test_what_is_wrong_is_left_out_with_its_reason(
    pictures: Path, servers: tuple[CaptionServer, TranslationServer], tmp_path: Path
) -> None:
    captions, translations = servers
    good, seen = captions.describe, []

    def refuse_one(image: Image.Image, prompt: str) -> str:
        said = good(image, prompt)
        seen.append(said)
        return "I'm sorry, I can't help with that." if said == seen[3] else said

    def leave_one(text: str, target: str) -> str:
        if text == seen[6]:
            return "<script>alert(1)</script> " + Interpreter.translate(good.__self__, text, target)  # type: ignore[attr-defined]
        return text if text == seen[5] else Interpreter.translate(good.__self__, text, target)  # type: ignore[attr-defined]

    captions.describe, translations.translate = refuse_one, leave_one
    describe_images(pictures, tmp_path / "out", ["cs"], settings(captions, translations, None), progress=False)
    lost = rejects(tmp_path / "out", "cs")
    assert lost[f"caption_refusal {REFUSED}"] == 1 and lost[f"untranslated {BAD_TRANSLATION}"] == 1
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert "&lt;script&gt;alert(1)" in page and "<script" not in page
    kept = [json.loads(line) for line in (tmp_path / "out/.describe/judge-cs/rejects/00000.jsonl").open()]
    assert kept[0]["caption_en"] == kept[0]["text"] == seen[5]  # enough of it to look at


def test_images_whose_server_failed_are_asked_for_again_and_only_those(
    pictures: Path,
    servers: tuple[CaptionServer, TranslationServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One image is answered with 500, one with a dropped connection, one with 400, one with a refusal."""
    monkeypatch.setattr("mella_hf.answers.chat.servers.backoff", lambda attempt: 0.0)
    monkeypatch.setattr("mella_hf.ling.describe_stages.SHARD_IMAGES", 4)
    captions, translations = servers
    good, well = captions.describe, [False]
    faults = {"01.png": 500, "02.png": 400, REFUSED: "I'm sorry, I can't help with that.", "09.png": None}
    sick = {as_sent(pictures / name).tobytes(): fault for name, fault in faults.items()}

    def sometimes(image: Image.Image, prompt: str) -> object:
        said = good(image, prompt)
        return said if well[0] else sick.get(image.tobytes(), said)

    captions.describe = sometimes
    out, use = tmp_path / "out", settings(captions, translations, None)
    first = describe_images(pictures, out, ["cs"], use, progress=False)
    reasons = {"01.png": "captioner_unanswered_status_500", "09.png": "captioner_unanswered_ServerDisconnectedError"}
    reasons |= {"02.png": "captioner_status_400", REFUSED: "caption_refusal"}
    assert all(rejects(out, "cs")[f"{reason} {name}"] == 1 for name, reason in reasons.items())
    assert "No captioner answered for 2 of the images; the same command asks again for those." in funnel_lines(first)

    asked, sent = len(captions.requests), len(translations.seen)
    again = describe_images(pictures, out, ["cs"], use, progress=False)  # the server is as before
    assert again.captions.ran == 2 and again.captions.counts == first.captions.counts
    assert len(captions.requests) == asked + 3 + 6  # the same error in words three times; no answer at all six times
    assert len(translations.seen) == sent and again.translations["cs"].ran == 0

    well[0], asked = True, len(captions.requests)
    healed = describe_images(pictures, out, ["cs"], use, progress=False)
    assert healed.captions.ran == 2 and healed.captions.counts["kept"] == first.captions.counts["kept"] + 2
    assert len(captions.requests) == asked + 2 and len(translations.seen) == sent + 2
    lost = rejects(out, "cs")
    assert lost[f"caption_refusal {REFUSED}"] == 1 and not any("unanswered" in reason for reason in lost)

    last = describe_images(pictures, out, ["cs"], use, progress=False)
    assert last.captions.ran == 0 and len(captions.requests) == asked + 2
    assert max(captions.answered.values()) == 1 and not any("asks again" in line for line in funnel_lines(last))


SCRIPT = """
import sys
from mella_hf.ling import describe_stages
from mella_hf.ling.describe import describe_images, funnel_lines
from mella_hf.ling.describe_settings import DescribeSettings
describe_stages.SHARD_IMAGES = 4
captions, translations, pictures, out = sys.argv[1:]
settings = DescribeSettings("stand-in", (captions,), "libre", translations, at_once=1, qe_model=None, test_size=0)
report = describe_images(pictures, out, ["cs", "ar"], settings, progress=False)
print("done", report.build.funnel["cs"]["ling"]["kept"])
"""


def test_killed_anywhere_nobody_is_asked_twice(
    pictures: Path, servers: tuple[CaptionServer, TranslationServer], tmp_path: Path
) -> None:
    """The servers kill their client: in its second and ninth caption, in its third and seventeenth translation."""
    captions, translations = servers
    running: list[subprocess.Popen[str]] = []

    def kill(number: int) -> None:
        if number in (2, 9):
            os.kill(running[-1].pid, signal.SIGKILL)
            running[-1].wait()

    captions.before = kill
    stop = Fault(drop=True, then=lambda: running[-1].kill())
    translations.faults = {3: stop, 17: stop}
    for _ in range(5):
        command = [sys.executable, "-c", SCRIPT, captions.url, translations.url, str(pictures), str(tmp_path / "out")]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        out, _ = running[-1].communicate()
    assert out == "done 10\n"
    assert [process.returncode for process in running] == [-9] * 4 + [0]
    # The two requests under way at the kill were answered into the void; all others once.
    assert len(captions.answered) == 10 and sorted(captions.answered.values()) == [1] * 8 + [2] * 2
    assert len(translations.answered) == 20 and set(translations.answered.values()) == {1}
    assert sum(translations.asked.values()) == 22


def test_a_quota_that_ends_stops_cleanly_and_goes_on_tomorrow(
    pictures: Path, servers: tuple[CaptionServer, TranslationServer], tmp_path: Path
) -> None:
    captions, translations = servers
    use = settings(captions, translations, None)
    translations.faults = {6: Fault(429, {"Retry-After": "40000"})}
    with pytest.raises(StageError, match="quota"):
        describe_images(pictures, tmp_path / "out", ["ar"], use, progress=False)
    report = describe_images(pictures, tmp_path / "out", ["ar"], use, progress=False)
    assert report.translations["ar"].counts["kept"] == 10
    assert set(translations.answered.values()) == {1} and len(translations.seen) == 11


def test_a_translation_service_that_breaks_stops_the_run_and_leaves_nothing_out(
    pictures: Path, servers: tuple[CaptionServer, TranslationServer], tmp_path: Path
) -> None:
    captions, translations = servers
    use = settings(captions, translations, None)
    translations.faults = {n: Fault(503, {"Retry-After": "0"}) for n in range(5, 11)}  # six times the same text
    with pytest.raises(StageError, match="status 503, 6 times in a row"):
        describe_images(pictures, tmp_path / "out", ["cs"], use, progress=False)
    assert len(translations.seen) == 10
    report = describe_images(pictures, tmp_path / "out", ["cs"], use, progress=False)
    assert report.translations["cs"].counts == {"kept": 10} and len(translations.seen) == 16
    assert set(translations.answered.values()) == {1} and max(captions.answered.values()) == 1


def test_a_translation_server_that_moved_is_the_same_translator(
    pictures: Path, servers: tuple[CaptionServer, TranslationServer], tmp_path: Path
) -> None:
    captions, translations = servers
    out = tmp_path / "out"
    describe_images(pictures, out, ["cs"], settings(captions, translations, None), progress=False)
    with TranslationServer() as moved:
        again = describe_images(pictures, out, ["cs"], settings(captions, moved, None), progress=False)
        assert again.translations["cs"].ran == 0 and not moved.seen


def test_an_invented_language_is_one_entry(
    pictures: Path, servers: tuple[CaptionServer, TranslationServer], invented_language: str, tmp_path: Path
) -> None:
    from datasets import load_dataset

    from mella_hf.errors import MellaError

    captions, translations = servers
    words = ("sitelen", "suli", "loje", "jelo", "kule", "lon", "sewi", "anpa", "poka")
    translations.translate = lambda text, target: (
        f"{target} li " + " ".join(words[len(word) % 9] + word[-1] for word in text.split())
    )
    use = settings(captions, translations, None)
    report = describe_images(pictures, tmp_path / "out", [invented_language], use, progress=False)
    rows = load_dataset(str(tmp_path / "out"), invented_language, split="ling")
    assert len(rows) > 0 and rows[0]["text"].startswith("toki li ")
    assert report.translations[invented_language].counts["kept"] == 10
    with pytest.raises(MellaError, match="XLM-R.*was not trained on 'qzz'"):
        describe_images(pictures, tmp_path / "other", [invented_language], DescribeSettings("m"), progress=False)


def test_dry_run_asks_nobody(pictures: Path, servers: tuple[CaptionServer, TranslationServer], tmp_path: Path) -> None:
    """The servers fail the test when they are asked: before the run, half way, and after it."""
    from typer.testing import CliRunner

    from mella_hf.cli import app

    captions, translations = servers
    arguments = ["describe", str(pictures), "--out", str(tmp_path / "out"), "--captioner", "stand-in", "--no-qe"]
    arguments += ["--base-url", captions.url, "--translator", "libre", "--translator-url", translations.url]
    dry = [*arguments, "--languages", "cs,ar", "--dry-run", "--price", "20", "--caption-price", "3"]

    def said_without_asking() -> str:
        before = len(captions.requests), len(translations.seen)
        said = CliRunner().invoke(app, dry, catch_exceptions=False)
        assert (len(captions.requests), len(translations.seen)) == before, "the dry run asked somebody"
        return str(said.output)

    libre = f"libre@{translations.url[7:]}"
    first = said_without_asking()
    assert "captions: 10 requests about 10 images, 0.03 USD" in first
    assert f"cs, {libre}: about 11,000 characters in about 10 requests, 0.22 USD" in first
    assert "in all: 0.47 USD" in first

    translations.faults = {4: Fault(429, {"Retry-After": "40000"})}
    assert CliRunner().invoke(app, [*arguments, "--languages", "cs"]).exit_code != 0
    english = set(captions.describe.__self__.english)  # type: ignore[attr-defined]
    done = {text for text, _ in translations.answered}
    assert len(english) == 10 and 3 <= len(done) < 10
    left = sum(map(len, english - done))
    half = said_without_asking()
    assert "captions: 0 requests about 10 images, 0.00 USD" in half
    assert f"cs, {libre}: {left:,} characters in {10 - len(done)} requests, {left * 20 / 1e6:,.2f} USD" in half

    CliRunner().invoke(app, [*arguments, "--languages", "cs,ar"], catch_exceptions=False)
    assert said_without_asking().count(" 0 characters in 0 requests, 0.00 USD") == 2


def test_bad_input_through_the_command(
    pictures: Path, servers: tuple[CaptionServer, TranslationServer], tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from mella_hf.cli import app

    captions, translations = servers
    arguments = ["describe", str(pictures), "--out", str(tmp_path / "out"), "--captioner", "stand-in", "--no-qe"]
    arguments += ["--base-url", captions.url]
    libre = ["--translator", "libre", "--translator-url", translations.url]
    wrong = {
        ("--languages", "cs,sr", *libre): "'libre' does not cover 'sr'",
        ("--languages", "xx", *libre): "xx",
        ("--languages", "cs", "--translator", "libre"): "needs the address of a server; pass --translator-url",
        ("--languages", "cs", "--translator", "chat"): "needs the name of the model",
        ("--languages", "cs", "--translator", "chat:m"): "needs the address of a server; pass --translator-url",
        ("--languages", "cs", *libre, *libre[:2]): "'libre' is given twice",
        ("--languages", "cs", *libre, "--translator", "google"): "leave --no-qe out",
        ("--languages", "cs", *libre, "--translator-url", "deepl=http://h"): "is for no translator of this run (libre)",
        ("--languages", "cs,ar", *libre, "--with-context"): "give one language",
        ("--languages", "hi", "--translator", "google", "--with-context"): "No names are found in texts in 'hi'",
    }
    for more, message in wrong.items():
        failed = CliRunner().invoke(app, [*arguments, *more])
        assert failed.exit_code != 0 and message in str(failed.exception), (more, failed.exception)
    assert CliRunner().invoke(app, [*arguments, *libre, "--languages", "cs", "--threshold", "2"]).exit_code != 0
    assert not captions.requests  # before anything is paid for
    empty = tmp_path / "empty"
    empty.mkdir()
    failed = CliRunner().invoke(app, ["describe", str(empty), *arguments[2:], *libre, "--languages", "cs"])
    assert "No images under" in str(failed.exception)
