"""The card makes plain `load_dataset` work, and its numbers are those of the rows."""

import os
import re
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from dataset_samples import record
from datasets import Features, get_dataset_config_names, get_dataset_split_names, load_dataset
from huggingface_hub import DatasetCard

from mella_hf.dataset.card.card import CardText, render_card, write_card
from mella_hf.dataset.card.facts import dataset_facts
from mella_hf.dataset.card.lengths import token_lengths
from mella_hf.dataset.write import write_split
from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.sample import features

SPLITS = ["know", "ling", "know_test", "ling_test"]


def test_plain_load_dataset(published: Path, tmp_path: Path) -> None:
    dataset = load_dataset(str(published), "ar", cache_dir=str(tmp_path))
    assert {name: len(split) for name, split in dataset.items()} == dict(zip(SPLITS, [600, 5, 4, 3], strict=True))
    assert dataset["know"].features == features()
    assert dataset["know"][0]["image"].size == (96, 64)
    everything = load_dataset(str(published), "all", cache_dir=str(tmp_path))
    assert len(everything["know"]) == 607 and len(everything["know_test"]) == 6


def test_what_was_left_out_is_listed_in_one_order(published: Path) -> None:
    """Publishing to a repo merges two lists; publishing again must change nothing."""
    funnel = {"ar": {"know": {"kept": 1}, "ling": {"kept": 2}}, "th": {"ling": {"kept": 3}}}
    other = {"th": {"ling": {"kept": 3}}, "ar": {"ling": {"kept": 2}, "know": {"kept": 1}}}
    facts = dataset_facts(published)
    assert render_card(facts, funnel, CardText()) == render_card(facts, other, CardText())


def test_plain_loading_needs_nothing_of_ours(published: Path, tmp_path: Path) -> None:
    """In a process that cannot import mella_hf, from the folder's parent, as `./mella`; streaming too."""
    code = (
        "import sys; sys.modules['mella_hf'] = None\n"
        "from datasets import load_dataset\n"
        "print(load_dataset('./mella', 'th')['know'].num_rows)\n"
        "rows = list(load_dataset('./mella', 'ar', split='know_test', streaming=True))\n"
        "print(len(rows), rows[0]['image'].size, rows[0]['text'])\n"
    )
    environment = {**os.environ, "HF_DATASETS_CACHE": str(tmp_path), "PYTHONPATH": "", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=published.parent, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == "7"
    assert done.stdout.splitlines()[1].startswith("4 (96, 64) كنافة")


def test_configs(published: Path) -> None:
    assert get_dataset_config_names(str(published)) == ["ar", "th", "all"]
    assert get_dataset_split_names(str(published), "ar") == SPLITS
    assert get_dataset_split_names(str(published), "th") == ["know", "know_test"]


def test_metadata_is_valid_for_the_hub(published: Path) -> None:
    data = DatasetCard.load(published / "README.md").data
    assert data.language == ["ar", "th"]
    assert data.license == "cc-by-4.0"
    assert data.size_categories == ["n<1K"]
    info = yaml.safe_load((published / "README.md").read_text("utf-8").split("---")[1])["dataset_info"]
    assert Features._from_yaml_list(info[0]["features"]) == features()
    assert {s["name"]: s["num_examples"] for s in info[0]["splits"]} == dict(zip(SPLITS, [600, 5, 4, 3], strict=True))


def test_numbers_on_the_card(published: Path) -> None:
    text = (published / "README.md").read_text("utf-8")
    assert "621 image-text pairs" in text
    assert "| language | know | ling | know_test | ling_test |" in text
    assert "| `th` Thai | 7 (" in text
    assert "| `ar` | know | 604 | text_missing 11, image_missing 3 |" in text
    assert "| CC-BY-4.0 | 621 |" in text


def test_facts_against_a_hand_count(published: Path) -> None:
    facts = {(f.language, f.split): f for f in dataset_facts(published)}
    texts = [row["text"] for row in load_dataset(str(published), "th", split="know_test", streaming=True)]
    assert facts["th", "know_test"].characters == Counter(len(text) for text in texts)
    know = [row["text"] for row in load_dataset(str(published), "ar", split="ling", streaming=True)]
    assert facts["ar", "ling"].rows == 5
    assert facts["ar", "ling"].median_characters == statistics.median(len(text) for text in know)


def test_token_lengths_against_a_hand_count(published: Path) -> None:
    """كنافة نابلسية على طبق and a number are five words; the reference for Thai is its tokenizer itself."""
    from pythainlp.tokenize import word_tokenize

    text = (published / "README.md").read_text("utf-8")
    assert "\n| `ar` | words | 5 / 5 | 5 / 5 | 5 / 5 | 5 / 5 |\n" in text
    thai = statistics.median(
        len(word_tokenize(row["text"], engine="newmm", keep_whitespace=False))
        for row in load_dataset(str(published), "th", split="know", streaming=True)
    )
    assert re.search(rf"\n\| `th` \| newmm-[\d.]+ \| {thai} / \d+ \| - \| \d+ / \d+ \| - \|\n", text)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([3], (3, 3)), ([1, 2], (1, 2)), (list(range(1, 11)), (5, 9)), (list(range(1, 102)), (51, 91))],
)
def test_median_and_ninetieth_percentile(counts: list[int], expected: tuple[int, int]) -> None:
    """By nearest rank, worked by hand."""
    texts = {"know": [" ".join(["я"] * count) for count in counts], "ling": []}
    assert token_lengths("ru", texts).splits == {"know": expected}


def test_tokens_that_cannot_be_counted_are_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mella_hf.text.tokens._kiwi", lambda: korean_is_not_installed())
    for language in ("ko", "qzz"):
        write_split([record(ord(language[0]), language)], tmp_path, language, "know")
    text = write_card(tmp_path).read_text("utf-8")
    assert "| `ko` | not counted: Korean tokenisation needs the package 'kiwipiepy', which is not installed." in text
    assert "| `qzz` | not counted: the language has no entry in mella_hf.languages | - |" in text
    assert "- `ko`: Prompts: by speakers; identification: py3langid; words: Kiwi" in text and "- `qzz`:" not in text


def korean_is_not_installed() -> None:
    raise MissingExtraError("kiwipiepy", "metrics", "Korean tokenisation")


def test_the_sample_does_not_depend_on_the_order(tmp_path: Path) -> None:
    rows = [record(n, text="слово " * (n % 7 + 1), language="ru") for n in range(700)]
    cards = []
    for name, ordered in (("a", rows), ("b", rows[::-1])):
        write_split(ordered, tmp_path / name, "ru", "know")
        (facts,) = dataset_facts(tmp_path / name)
        assert len(facts.sample) == 500
        assert facts.sample == sorted((row["id"], row["text"]) for row in rows)[:500]
        cards.append(write_card(tmp_path / name).read_text("utf-8").split("## Splits")[1])
    assert cards[0] == cards[1]


def test_one_licence_is_named(tmp_path: Path) -> None:
    write_split([record(1, license="GPL-2")], tmp_path, "ar", "know")
    assert "license: gpl-2.0" in write_card(tmp_path).read_text("utf-8")


def test_mixed_licences_are_other(tmp_path: Path) -> None:
    write_split([record(1, license="GPL-2"), record(2, license=None)], tmp_path, "ar", "know")
    text = write_card(tmp_path).read_text("utf-8")
    assert "license: other" in text and "| not stated | 1 |" in text


def test_no_dataset_no_card(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="holds no dataset: found no LANGUAGE/SPLIT"):
        write_card(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_snippet_runs(published: Path, tmp_path: Path) -> None:
    body = write_card(published).read_text("utf-8")
    snippet = body.split("```python\n")[1].split("```")[0]
    environment = {**os.environ, "HF_DATASETS_CACHE": str(tmp_path), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=published.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("(96, 64) ")
