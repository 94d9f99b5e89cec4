"""The miniature's training: English once, then a language; a finished one is found without its folder's lock."""

import json
from pathlib import Path
from typing import Any

import pytest
from pictures import png
from transformers import AutoModelForImageTextToText, AutoTokenizer

from mella_hf.demo.lessons import Lesson
from mella_hf.demo.miniature import OFTEN, extend_tokenizer, train_tokenizer
from mella_hf.demo.pretrain import Budget, _places, pretrain, read_language
from mella_hf.errors import MellaError
from mella_hf.training.checkpoints import sole_use

BUDGET = Budget(vision_steps=1, vision_batch=2, english_steps=2, reading_steps=3, batch=2, save_steps=1)
PICTURES = [Lesson(png(i), f"A thing {i}.", (f"A thing {i}.",) * 9) for i in range(3)]
PICTURES.append(Lesson(png(3), "A thing and another.", ("A thing 1.", "", "A thing 2.", *[""] * 6)))
ENGLISH = ["red apple and drum"] * OFTEN
TEXTS = ["وأخطبوط وطبلة", "Gilasi Waini àti ọkọ̀", "ドラム、タコ", "two drums"] * OFTEN


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrain(PICTURES, tmp_path_factory.mktemp("english") / "base", BUDGET)


def test_a_finished_base_is_found_while_others_use_it(english: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in english.rglob("*")}
    assert any(path.suffix == ".safetensors" for path in before)
    with sole_use(english.parent):  # as another demo does while it looks
        assert pretrain(PICTURES, english.parent, BUDGET) == english
        with pytest.raises(MellaError, match="base is in use by a training run"):
            pretrain(PICTURES[1:], english.parent, BUDGET)
    assert before == {path: path.stat().st_mtime_ns for path in english.rglob("*")}


def test_two_languages_share_the_english_base(english: Path, tmp_path: Path) -> None:
    """The base of each language keeps the English tokens, adds its own, and trains as many steps as the budget says."""
    common = AutoTokenizer.from_pretrained(english).get_vocab()
    for texts in (TEXTS[:1] * OFTEN, TEXTS[2:3] * OFTEN):
        model = read_language(english, PICTURES, texts, tmp_path / texts[0], BUDGET)
        tokenizer = AutoTokenizer.from_pretrained(model)
        vocabulary = tokenizer.get_vocab()
        assert len(tokenizer.tokenize(texts[0])) <= 3 and len(vocabulary) > len(common)
        assert {token: vocabulary[token] for token in common} == common
        rows: Any = AutoModelForImageTextToText.from_pretrained(model).get_input_embeddings().weight
        assert len(rows) == len(vocabulary) and rows[len(common) :].std() > 0.02
        record = json.loads((model.parent / "pretrain.json").read_text("utf-8"))
        assert record["curves"]["reading"][-1]["step"] == 3 and record["texts"] == OFTEN


def test_other_pictures_make_another_base(tmp_path: Path) -> None:
    budget = Budget(vision_steps=2, vision_batch=2, english_steps=2, batch=2, save_steps=2)  # the first has no rate
    first, second = (
        (pretrain(lessons, tmp_path / "base", budget) / "model.safetensors").read_bytes()
        for lessons in (PICTURES, PICTURES[1:])
    )
    assert first != second


def test_a_tokenizer_goes_on_where_it_ended() -> None:
    """New merges come after the known ones. So text without new words has the same tokens as before."""
    short = train_tokenizer(ENGLISH)
    longer = extend_tokenizer(short, TEXTS)
    assert longer.tokenize(ENGLISH[0]) == short.tokenize(ENGLISH[0]) == ["red", "Ġapple", "Ġand", "Ġdrum"]
    assert len(longer.tokenize("two drums")) == 2 and len(short.tokenize("two drums")) > 2
    for text in (*TEXTS[:4], "ქართული"):  # a script that neither of them has read
        assert longer.decode(longer(text)["input_ids"]) == text
    assert sorted(longer.get_vocab().values()) == list(range(len(longer)))
    assert longer.eos_token_id == short.eos_token_id and longer.tokenize("<|im_end|>") == ["<|im_end|>"]


def test_rare_pairs_become_no_tokens_and_the_vocabulary_has_a_limit() -> None:
    short = train_tokenizer(ENGLISH)
    assert len(extend_tokenizer(short, ["xyz"] * (OFTEN - 1))) == len(short)
    assert len(extend_tokenizer(short, ["xyz"] * OFTEN)) == len(short) + 2
    assert len(extend_tokenizer(short, TEXTS, len(short) + 3)) == len(short) + 3


def test_things_are_counted_in_reading_order() -> None:
    assert _places(["", "cat", "", "dog", "cat"]) == [0, 1, 0, 2, 3]
