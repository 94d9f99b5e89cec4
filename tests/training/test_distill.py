"""SDRRL: what the base says in English reaches the target language in every combination, and nothing is lost unsaid."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.training.distill import QUESTIONS, TURNS_FILE, ask_about, build_transfer_set, read_record

SAID = {"a house": "بيت", "a tree by a lake": "شجرة عند بحيرة"}


class DictionaryTranslator:
    """A stand-in that knows the texts of this file."""

    name, version, max_chars, batch_size = "dictionary (stand-in)", "1", 1000, 100

    def __init__(self, instructions: bool = True):
        self.known = dict(SAID)
        if instructions:
            self.known |= {
                "Answer in Arabic.": "أجب بالعربية.",
                "Answer in English.": "أجب بالإنجليزية.",
                "Translate into Arabic:": "ترجم إلى العربية:",
            }

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        assert (source, target) == ("en", "ar")
        return [self.known.get(text, "") for text in texts]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What the base answers, by image; the model itself is played, its file handling is not."""
    said: dict[str, dict[str, Any]] = {}

    def answer_turns(model: Any, processor: Any, turns: Iterable[Any], limit: int, at_once: int, keep: Any) -> None:
        for i, (_, prompt) in enumerate(turns):
            (source,) = [source for source, questions in QUESTIONS.items() if prompt in questions]
            answer = said.get(prompt) or said[QUESTIONS[source][0]]
            keep(i, answer)

    class Model:
        device, dtype = type("device", (), {"type": "cpu"}), "float32"
        num_parameters = staticmethod(lambda: 1)

    monkeypatch.setattr("mella_hf.answers.generate.answer_turns", answer_turns)
    monkeypatch.setattr("mella_hf.answers.models.load_model", lambda base, revision: (Model(), None))
    return said


def build(model: Path, rows: dict[str, Any], out: Path, **more: Any) -> list[dict[str, Any]]:
    options = {"translator": DictionaryTranslator(), "language": "ar", "progress": False, **more}
    build_transfer_set(base=str(model), rows=rows, out=out, **options)
    return [json.loads(line) for line in (out / TURNS_FILE).read_text("utf-8").split("\n") if line]


def test_every_combination_of_languages(
    answers: dict[str, Any], tiny_qwen2vl: Path, make_rows: Any, tmp_path: Path
) -> None:
    answers["What is this?"] = {"prediction": "a house", "truncated": False}
    answers["Describe this picture."] = {"prediction": "a tree by a lake", "truncated": False}
    rows = {"know": make_rows(40), "ling": make_rows(30, source="ling", start=50)}
    turns = build(tiny_qwen2vl, rows, tmp_path / "set")
    counts = Counter(turn["kind"] for turn in turns)
    assert counts["same_language"] == counts["cross_language"] == 2 * 70
    assert 20 <= counts["code_switched"] <= 50  # half of 70
    assert 1 <= counts["translation"] <= 16  # a tenth of 70
    assert read_record(tmp_path / "set")["counts"] == dict(sorted(counts.items()))
    arabic = get_language("ar")
    for turn in turns:
        english, native = ("a house", "بيت") if turn["source"] == "know" else ("a tree by a lake", "شجرة عند بحيرة")
        assert turn["text"] == (english if turn["language"] == "en" else native)
        asked_in_arabic = turn["prompt"].startswith(arabic.prompts(turn["source"]))
        asked_in_english = turn["prompt"].startswith(QUESTIONS[turn["source"]])
        match turn["kind"]:
            case "same_language":
                assert asked_in_arabic if turn["language"] == "ar" else asked_in_english, turn
            case "cross_language":  # it says which language to answer in, in the language of the question
                ending = "Answer in Arabic." if asked_in_english else "أجب بالإنجليزية."
                assert turn["prompt"].endswith(ending) and asked_in_english == (turn["language"] == "ar")
            case "code_switched":  # the same in the language of the answer
                ending = "أجب بالعربية." if asked_in_english else "Answer in English."
                assert turn["prompt"].endswith(ending) and asked_in_english == (turn["language"] == "ar")
            case "translation":
                assert turn["prompt"] == f"Translate into Arabic: {english}" and turn["language"] == "ar"
    assert {turn["id"] for turn in turns} == {*rows["know"]["id"], *rows["ling"]["id"]}
    before = (tmp_path / "set" / TURNS_FILE).stat().st_mtime_ns
    assert build(tiny_qwen2vl, rows, tmp_path / "set") == turns
    assert (tmp_path / "set" / TURNS_FILE).stat().st_mtime_ns == before  # done is not done again


def test_an_answer_stands_beside_the_question_that_was_asked(
    answers: dict[str, Any], tiny_qwen2vl: Path, make_rows: Any, tmp_path: Path
) -> None:
    """Each English question gets an answer of its own; all three are asked, and no answer meets another question."""
    known = {question: f"answer {i}" for i, question in enumerate(QUESTIONS["know"])}
    for question, said in known.items():
        answers[question] = {"prediction": said, "truncated": False}
    translator = DictionaryTranslator()
    translator.known |= {said: f"جواب {said}" for said in known.values()}
    turns = build(tiny_qwen2vl, {"know": make_rows(30)}, tmp_path / "set", translator=translator)
    met = set()
    for turn in turns:
        for question, said in known.items():
            if turn["prompt"].startswith(question):
                assert turn["text"].removeprefix("جواب ") == said, turn
                met.add(question)
    assert met == set(known)


def test_answers_that_cannot_be_used_are_counted(
    answers: dict[str, Any], tiny_qwen2vl: Path, make_rows: Any, tmp_path: Path
) -> None:
    rows = {"know": make_rows(2), "ling": make_rows(3, source="ling", start=50)}
    answers["What is this?"] = {"prediction": "a house", "truncated": False}
    answers["Describe this picture."] = {"prediction": "a tree by", "truncated": True}
    build(tiny_qwen2vl, rows, tmp_path / "one")
    assert read_record(tmp_path / "one")["counts"]["dropped_truncated"] == 3
    answers["Describe this picture."] = {"prediction": "a cat", "truncated": False}
    build(tiny_qwen2vl, rows, tmp_path / "two")
    assert read_record(tmp_path / "two")["counts"]["dropped_untranslated"] == 3
    answers["What is this?"] = {"prediction": "", "truncated": False}
    with pytest.raises(MellaError, match="No answer of .* can be used .*'dropped_empty': 2"):
        build(tiny_qwen2vl, rows, tmp_path / "three")
    answers["What is this?"] = {"prediction": "a house", "truncated": False}
    with pytest.raises(MellaError, match="has no Arabic for 'Answer in Arabic.'"):
        build(tiny_qwen2vl, rows, tmp_path / "four", translator=DictionaryTranslator(instructions=False))


def test_samples_show_their_own_image(
    answers: dict[str, Any], tiny_qwen2vl: Path, make_rows: Any, tmp_path: Path
) -> None:
    answers["What is this?"] = {"prediction": "a house", "truncated": False}
    rows = make_rows(4)
    build(tiny_qwen2vl, {"know": rows}, tmp_path / "set")
    turns, transform = ask_about(rows, tmp_path / "set")
    images = {row["id"]: row["image"].tobytes() for row in rows}
    shown = turns.with_transform(transform)
    for i in range(len(turns)):
        conversation = shown[i]
        assert conversation["images"][0].tobytes() == images[turns[i]["id"]]
        assert conversation["prompt"][0]["content"][1]["text"] == turns[i]["prompt"]
        assert conversation["completion"][0]["content"][0]["text"] == turns[i]["text"]
    with pytest.raises(MellaError, match="which is in none of the run's sources"):
        ask_about(rows.select([0]), tmp_path / "set")
    with pytest.raises(MellaError, match="No transfer set in .*nowhere.*mella distill"):
        ask_about(rows, tmp_path / "nowhere")


def test_a_run_trains_on_the_set(answers: dict[str, Any], tiny_qwen2vl: Path, make_rows: Any, tmp_path: Path) -> None:
    from datasets import Image

    from mella_hf.dataset.write import write_split
    from mella_hf.training.arguments.parsing import parse_settings
    from mella_hf.training.sft import train

    answers["What is this?"] = {"prediction": "a house", "truncated": False}
    answers["Describe this picture."] = {"prediction": "a tree by a lake", "truncated": False}
    rows = {"know": make_rows(4), "ling": make_rows(3, source="ling", start=50)}
    for source, part in rows.items():
        write_split(part.cast_column("image", Image(decode=False)), tmp_path / "data", "ar", source)
    turns = build(tiny_qwen2vl, rows, tmp_path / "set")
    settings = {
        "model_name_or_path": tiny_qwen2vl, "data_dir": tmp_path / "data", "languages": ["ar"], "use_peft": True,
        "output_dir": tmp_path / "run", "transfer_set": tmp_path / "set", "lora_r": 4, "max_steps": 2,
        "per_device_train_batch_size": 2, "save_strategy": "no", "report_to": "none", "use_cpu": True,
        "dtype": "float32", "max_length": None, "gradient_checkpointing": False, "bf16": False,
    }  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(json.dumps(settings, default=str))  # JSON is YAML
    train(parse_settings(["--config", str(tmp_path / "recipe.yaml")]))
    record = json.loads((tmp_path / "run" / "training.json").read_text("utf-8"))
    assert record["samples"] == dict(sorted(Counter(turn["source"] for turn in turns).items()))
    assert len(record["identity"]["transfer_set"]) == 64
