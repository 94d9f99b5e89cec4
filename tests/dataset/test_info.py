"""What is said of a dataset is what its rows say, counted by hand here; Croissant is checked by its own library."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from dataset_samples import record
from local_hub import LocalHub
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.dataset.card.card import write_card, write_funnel
from mella_hf.dataset.card.croissant import CROISSANT
from mella_hf.dataset.info import DatasetInfo, dataset_info
from mella_hf.dataset.removal.remove import remove_samples
from mella_hf.dataset.summary import top_domains, training_summary
from mella_hf.dataset.thumbnails import write_thumbnails
from mella_hf.dataset.write import write_split
from mella_hf.errors import MellaError
from mella_hf.sample import utc

TEXT = "мост через реку"  # three words, 15 characters


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    know = [
        record(n, "ru", text=TEXT, domain=f"d{n // 4}.org", keywords=["мост"], collected_at=utc(2026, 1, 1 + n))
        for n in range(12)
    ]
    ling = [record(n, "ru", "ling", text=TEXT, license=None, translator="nllb", review="edited") for n in range(20, 23)]
    write_split(know, tmp_path / "d", "ru", "know")
    write_split(ling, tmp_path / "d", "ru", "ling")
    write_split([record(30, "zz", text="x <b>&amp;")], tmp_path / "d", "zz", "know_test")
    write_funnel(tmp_path / "d", {"ru": {"know": {"kept": 12, "dropped_image_broken": 4}}})
    write_thumbnails(tmp_path / "d")
    write_card(tmp_path / "d", title="A <title>", origin="Made for a test.")
    return tmp_path / "d"


def test_numbers_by_hand(folder: Path) -> None:
    info = dataset_info(folder)
    assert (info.rows, info.languages, info.collected) == (16, ["ru", "zz"], ("2026-01-01", "2026-01-12"))
    assert info.tokens("ru") == 15 * 3 and info.tokens() is None  # a language that nobody knows has no tokenizer
    assert info.hours("ru") == pytest.approx(15 * 15 / 863 / 60)
    assert info.counts("licenses") == {"CC-BY-4.0": 13, "not stated": 3}
    assert info.counts("makers") == {"translator: nllb": 3, "review: edited": 3}
    assert info.to_json()["splits"]["ru/ling"]["rows"] == 3 and json.dumps(info.to_json())


def test_text_and_html(folder: Path) -> None:
    remove_samples(folder, domain="d2.org")
    info = dataset_info(folder)
    for line in (
        f"A <title> ({folder})", "12 image-text pairs in 2 languages", "domains (2): d0.org 4, d1.org 4",
        "keywords: мост 8",
        "left out: image_broken 4", "removed on request: 1 requests", "made by: translator: nllb 3, review: edited 3",
    ):  # fmt: skip
        assert line in str(info), line
    assert re.search(r"^ru Russian +8 +3 +- +33 +0\.0$", str(info), re.MULTILINE) and repr(info) == str(info)
    page = info._repr_html_()
    assert (
        page.count("<img ") == 2
        and "<caption>A &lt;title&gt;: 12 image-text pairs" in page
        and 'src="data:image/jpeg;base64,' in page
    )


def test_of_a_published_repo(folder: Path, tmp_path: Path) -> None:
    """The same from the Hub, without reading a shard."""
    from test_hub import Client, publish

    with LocalHub(tmp_path / "hub") as hub:
        client = Client(hub, tmp_path / "home")
        client.run(publish(folder))
        hub.requests.clear()
        code = "from mella_hf.dataset.info import dataset_info\nprint(dataset_info('tester/mella'))"
        there, here = client.run(code).splitlines(), str(dataset_info(folder)).splitlines()
        assert there[1:] == here[1:] and hub.counted(r"GET .*parquet") == 0


@pytest.mark.parametrize("name", ["/nowhere", "a/b/c"])
def test_neither_folder_nor_repo(name: str) -> None:
    with pytest.raises(MellaError, match="is neither a folder nor a dataset repo"):
        dataset_info(name)


@pytest.mark.parametrize("repo", ["./mella", "org/mella"])
def test_croissant_is_valid(folder: Path, repo: str) -> None:
    """mlcroissant, the reference implementation, finds neither errors nor warnings."""
    mlcroissant = pytest.importorskip("mlcroissant")
    write_card(folder, repo=repo)
    dataset = mlcroissant.Dataset(jsonld=folder / CROISSANT)
    assert not dataset.metadata.ctx.issues.errors and not dataset.metadata.ctx.issues.warnings
    assert [records.id for records in dataset.metadata.record_sets] == ["ru/know", "ru/ling", "zz/know_test"]
    metadata = json.loads((folder / CROISSANT).read_text("utf-8"))
    assert metadata["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    files = {entry["@id"]: entry for entry in metadata["distribution"]}
    origin = files["files/ru/know"]["prov:wasDerivedFrom"]
    assert [(entity["name"], entity["description"]) for entity in origin] == [(f"d{n}.org", "4 rows") for n in range(3)]
    (build, review, translation) = files["files/ru/ling"]["prov:wasGeneratedBy"]
    assert translation["prov:wasAssociatedWith"]["name"] == "nllb" and "translated descriptions" in build["description"]
    assert "image_broken 4" in files["files/ru/know"]["prov:wasGeneratedBy"][0]["description"]
    before = (folder / CROISSANT).read_bytes()
    write_card(folder)
    assert (folder / CROISSANT).read_bytes() == before


# The template of the AI Office, 24 July 2025: its headings, in its order.
HEADINGS = [
    "1. General information", "1.1 Provider identification", "1.2 Model identification",
    "1.3 Modalities, overall training data size and other characteristics", "2. List of data sources",
    "2.1 Publicly available datasets", "2.2 Private non-publicly available datasets obtained from third parties",
    "2.2.1 Datasets commercially licensed by rightsholders or their representatives",
    "2.2.2 Private datasets obtained from other third parties",
    "2.3 Data crawled and scraped from online sources", "2.4 User data", "2.5 Synthetic data",
    "2.6 Other sources of data",
    "3. Data processing aspects",
    "3.1 Respect of reservation of rights from text and data mining exception or limitation",
    "3.2 Removal of illegal content", "3.3 Other information (optional)",
]  # fmt: skip


def test_summary_of_training_content(folder: Path) -> None:
    text = training_summary(dataset_info(folder))
    assert re.findall(r"^##+ (.*)$", text, re.MULTILINE) == HEADINGS
    for line in (
        "Image: less than 1 million images (16)", "Latest date of data acquisition or collection: 2026-01-12",
        "Russian (ru): 15 texts", "12 of 16 rows name the domain", "CC-BY-4.0 (13), not stated (3)",
        "  - translator: nllb: 3",
        "Made for a test.", "image_broken 4", "(top 10% by number of images, 1):\n\n  d0.org (4)\n",
    ):  # fmt: skip
        assert line in text, line


def test_the_top_tenth(folder: Path) -> None:
    from collections import Counter

    assert top_domains(Counter({f"{n:02d}": n for n in range(1, 22)})) == [("21", 21), ("20", 20), ("19", 19)]
    assert top_domains(Counter()) == []


def test_many_names_are_shortened(folder: Path) -> None:
    write_split([record(n, "ru", domain=f"x{n:02d}.org") for n in range(10)], folder, "ru", "know")
    assert isinstance(info := dataset_info(folder), DatasetInfo)
    assert "x07.org 1, and 2 more" in str(info)


def test_the_count_of_an_arabic_name_stays_beside_it(folder: Path, new_page: Any) -> None:
    """In the order of bidirectional text, the count would stand beside the next name."""
    write_split([record(n, "ar", keywords=["قطار", "وجه"][: n % 2 + 1]) for n in range(10)], folder, "ar", "know")
    info = dataset_info(folder)
    assert "قطار 10, وجه 5" in str(info)
    page = new_page()
    page.set_content(info._repr_html_())
    left = page.evaluate(
        """() => {
        const text = [...document.querySelectorAll("dd")].find((dd) => dd.textContent.includes("وجه")).firstChild;
        return ["قطار", "10", "وجه", "5"].map((part) => {
            const range = document.createRange(), at = text.data.indexOf(part);
            range.setStart(text, at);
            range.setEnd(text, at + part.length);
            return range.getBoundingClientRect().left;
        });
    }"""
    )
    assert left == sorted(left)


def test_the_command(folder: Path) -> None:
    run = CliRunner()
    assert str(dataset_info(folder)) in run.invoke(app, ["info", str(folder)]).output
    assert json.loads(run.invoke(app, ["info", str(folder), "--json"]).stdout)["rows"] == 16
    assert run.invoke(app, ["info", str(folder), "--summary"]).output.startswith(
        "# Public Summary of Training Content for General-Purpose AI models\n"
    )
