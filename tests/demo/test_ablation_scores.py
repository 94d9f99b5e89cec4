"""The comparison: hand-worked scores, intervals that know both chances, verdicts, and a page that stands alone."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mella_hf.demo.ablation_report import SeedMean, verdict, write_ablation
from mella_hf.demo.ablation_scores import Comparison
from mella_hf.errors import MellaError

NAMES = ["بيت", "شجرة", "سيارة", "كتاب", "سمكة", "باب", "نجمة", "زهرة"]
TEXT = "يظهر في الصورة جسم كبير في الوسط على خلفية بيضاء {}"
TITLES = {"base": "base", "ling_only": "ling only", "two_stage": "two stages", "two_stage_replay": "replay"}


def answer(folder: Path, know: int, ling: int) -> Path:
    """Answers that name the first `know` of eight images, describe the first `ling` perfectly, and say nothing else."""
    for split, right in (("know_test", know), ("ling_test", ling)):
        rows = []
        for i, name in enumerate(NAMES):
            reference = f"{name}." if split == "know_test" else TEXT.format(name)
            keywords = [name] if split == "know_test" else None
            rows.append(
                {"id": f"{split}-{i}", "prediction": reference if i < right else "", "reference": reference,
                 "keywords": keywords}
            )  # fmt: skip
        path = folder / "predictions" / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        meta = {"parameters": 1000, "torch": "t", "transformers": "f"}
        path.with_name(path.name + ".meta.json").write_text(json.dumps(meta))
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, list[Path]]:
    def seeds(name: str, *scores: tuple[int, int]) -> list[Path]:
        return [answer(tmp_path / name / f"seed-{i}", *score) for i, score in enumerate(scores)]

    return {
        "base": seeds("base", (0, 0)),
        "ling_only": seeds("ling_only", (0, 8), (0, 8)),
        "two_stage": seeds("two_stage", (6, 2), (8, 2)),
        "two_stage_replay": seeds("two_stage_replay", (6, 5), (8, 5)),
    }


def test_scores_are_means_over_seeds(folders: dict[str, list[Path]]) -> None:
    """6 and 8 of 8 names: 75 and 100, mean 87.5. A seed that names all has no chance left in its images."""
    comparison = Comparison(folders, "ar")
    assert comparison.by_seed("two_stage", "know_keyword") == [75.0, 100.0]
    estimate = comparison.estimate("two_stage", "know_keyword")
    assert estimate.value == 87.5 and estimate.low < 75 and estimate.high == 100.0
    assert comparison.estimate("base", "ling_meteor") == SeedMean(0.0, 0.0, 0.0)
    full = comparison.estimate("ling_only", "ling_meteor").value
    assert comparison.estimate("two_stage", "ling_meteor").value == pytest.approx(full / 4)  # 2 of 8 images


def test_differences_are_paired(folders: dict[str, list[Path]]) -> None:
    """The second stage with replay names exactly what the plain one names: no draw can tell them apart."""
    comparison = Comparison(folders, "ar")
    assert comparison.difference("two_stage_replay", "two_stage", "know_keyword") == SeedMean(0.0, 0.0, 0.0)
    lost = comparison.difference("ling_only", "two_stage", "ling_meteor")
    assert lost.low > 0 and verdict(lost) == "holds"
    # 0.9 of itself leaves a tenth: positive whatever is drawn
    near = comparison.difference("ling_only", "ling_only", "ling_meteor", 0.9)
    assert near.value == pytest.approx(comparison.estimate("ling_only", "ling_meteor").value / 10)
    assert [verdict(SeedMean(1, *ends)) for ends in ((0.1, 2), (-1, 2), (-2, -1))] == ["holds", "open", "fails"]


def test_answers_about_other_images_are_refused(folders: dict[str, list[Path]]) -> None:
    path = folders["two_stage"][1] / "predictions" / "know_test.jsonl"
    path.write_text(path.read_text("utf-8").replace("know_test-0", "another"), "utf-8")
    with pytest.raises(MellaError, match="has answers about other know_test images"):
        Comparison(folders, "ar")


def test_the_page_and_its_numbers(folders: dict[str, list[Path]], tmp_path: Path) -> None:
    page = write_ablation(folders, TITLES, "ar", tmp_path)
    record = json.loads((tmp_path / "ablation.json").read_text("utf-8"))
    replay = next(f for f in record["forgetting"] if f["name"] == "two_stage_replay")
    assert replay["won_back"] == pytest.approx((5 - 2) / (8 - 2), abs=1e-3)  # three of the six images forgotten
    assert next(f for f in record["forgetting"] if f["name"] == "two_stage")["won_back"] is None
    claims = {claim["text"]: claim["verdict"] for claim in record["claims"]}
    assert claims["The second stage forgets what the first taught"] == "holds"
    assert not any("SDRRL" in text for text in claims)  # it was not run
    pasted = (tmp_path / "ablation.md").read_text("utf-8")
    assert "| two stages | 87.5 (" in pasted  # 75 and 100, as above
    assert "| Ling only describes better" not in pasted and "| holds |" in pasted
    assert pasted.rstrip().splitlines()[-3].endswith("| 50% |")  # replay: three of the six images
    assert (tmp_path / "ablation.tex").read_text("utf-8").count(r"\begin{table}") == 3
    html = page.read_text("utf-8")

    class Links(HTMLParser):
        outside: list[str] = []

        def handle_starttag(self, tag: str, attributes: Any) -> None:
            values = dict(attributes)
            self.outside += [v for k in ("src", "href") if (v := values.get(k)) and not v.startswith(("data:", "#"))]

    parser = Links()
    parser.feed(html)
    assert parser.outside == [] and "<script" not in html
    assert "The base is a miniature" in html and "two stages" in html
    assert "intervals over seeds and images" in html


def test_one_seed_does_not_pretend_to_know_how_much_seeds_differ(
    folders: dict[str, list[Path]], tmp_path: Path
) -> None:
    one = {name: paths[:1] for name, paths in folders.items()}
    html = write_ablation(one, {name: name for name in one}, "ar", tmp_path).read_text("utf-8")
    assert "intervals over images, and not over seeds" in html
    assert "seeds and images" not in html and "mean over seeds" not in html


def test_axe_finds_nothing_and_nothing_sticks_out(
    folders: dict[str, list[Path]], tmp_path: Path, page_troubles: Any
) -> None:
    assert page_troubles(write_ablation(folders, TITLES, "ar", tmp_path)) == []
