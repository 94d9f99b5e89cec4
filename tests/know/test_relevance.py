"""Whether the text belongs to the image: calibration by hand and by simulation, and both commands on tiny encoders."""

import json
import random
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_samples import picture, record
from datasets import load_dataset
from other_encoders import DUAL, NO_DUAL, other_encoder
from scipy.stats import kstest, mannwhitneyu
from tiny_encoders import KINDS, make_encoder
from typer.testing import CliRunner

import mella_hf  # noqa: F401  (registers "mella")
from mella_hf.cli import app
from mella_hf.dataset.card.card import read_funnel, write_card, write_funnel
from mella_hf.dataset.removal import remove
from mella_hf.dataset.verify import verify_dataset
from mella_hf.dataset.write import shard_paths, write_split
from mella_hf.errors import MellaError
from mella_hf.know.relevance import stages
from mella_hf.know.relevance.calibrate import FEWEST, SHIFTS, calibrate, interval, share_below
from mella_hf.know.relevance.encoder import DualEncoder, encoder_name
from mella_hf.know.relevance.published import measure_dataset
from mella_hf.know.relevance.stages import RelevanceSettings, measure, relevance_of
from mella_hf.know.relevance.summary import summarise
from mella_hf.sample import SCHEMA


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def drawn(draw: np.random.Generator, count: int, likeness: float) -> tuple[np.ndarray, np.ndarray]:
    """Images and texts that share a part of their meaning."""
    meaning = draw.normal(size=(count, 8))
    return tuple(unit(likeness * meaning + draw.normal(size=(count, 8))) for _ in range(2))


def test_the_share_below_by_hand():
    """Ties count half."""
    assert share_below(np.array([1, 2, 2, 3]), np.array([0, 2, 2.5, 3, 4])).tolist() == [0, 0.5, 0.75, 0.875, 1]


def test_relevance_by_hand():
    """32 things, each image and text its own direction, but two texts changed places.

    Of the 32 x 31 re-paired two belong together (cosine 1), and 990 do not (0). A true pair is above 990 and equal to
    2; a wrong one is equal to 990 and below 2.
    """
    images = np.eye(32)
    texts = images[[1, 0, *range(2, 32)]]
    found = calibrate(images, texts, np.arange(32), np.arange(32))
    assert found.null.tolist() == [0] * 990 + [1] * 2
    np.testing.assert_allclose(found.relevance, [495 / 992] * 2 + [991 / 992] * 30)


def test_equal_texts_and_pictures_are_not_paired_anew():
    """Image 0 with the text of image 1, which is the same text, is no wrong pair."""
    draw = np.random.default_rng(1)
    images, texts = drawn(draw, 40, 1.0)
    keys = np.arange(40)
    assert len(calibrate(images, texts, keys, keys).null) == 40 * 39
    twice = np.where(keys == 1, 0, keys)
    assert len(calibrate(images, texts, keys, twice).null) == 40 * 39 - 2
    assert len(calibrate(images, texts, twice, twice).null) == 40 * 39 - 2
    assert calibrate(images, texts, keys, np.zeros(40)) is None
    assert calibrate(images[: FEWEST - 1], texts[: FEWEST - 1], keys[: FEWEST - 1], keys[: FEWEST - 1]) is None
    many, said = drawn(draw, 500, 1.0)
    assert len(calibrate(many, said, np.arange(500), np.arange(500)).null) == 500 * SHIFTS


def test_the_mean_relevance_is_the_auroc():
    """scipy's Mann-Whitney U over all pairs and all re-paired is the outside judge."""
    images, texts = drawn(np.random.default_rng(2), 60, 0.8)
    found = calibrate(images, texts, np.arange(60), np.arange(60))
    cosines = images @ texts.T
    true, null = np.diag(cosines), cosines[~np.eye(60, dtype=bool)]
    assert found.relevance.mean() == pytest.approx(mannwhitneyu(true, null).statistic / (len(true) * len(null)))


def test_pairs_that_do_not_belong_together_are_uniform():
    """For encoders of any scale and shift: half of them are below 0.5."""
    draw = np.random.default_rng(3)
    for shift in (0.0, 5.0):
        images, texts = (unit(draw.normal(size=(3000, 16)) + shift) for _ in range(2))
        found = calibrate(images, texts, np.arange(3000), np.arange(3000))
        assert kstest(found.relevance, "uniform").pvalue > 1e-3
        assert abs((found.relevance < 0.5).mean() - 0.5) < 0.03


@pytest.mark.parametrize("likeness", [0.0, 0.5, 2.0])
def test_the_interval_of_the_auroc_holds_its_share(likeness):
    """Simulated: 80 pairs, 400 times; the truth is of 20,000."""
    draw = np.random.default_rng(4)
    many = drawn(draw, 20_000, likeness)
    truth = calibrate(*many, np.arange(20_000), np.arange(20_000)).relevance.mean()
    assert 0.0 < truth < 1.0
    hits = 0
    for _ in range(400):
        found = calibrate(*drawn(draw, 80, likeness), np.arange(80), np.arange(80))
        variance = (found.influence**2).sum() / 80**2
        low, high = interval(found.relevance.mean(), variance, 80)
        hits += low <= truth <= high
    assert hits / 400 >= 0.915


def test_an_interval_without_a_miss_is_not_empty():
    """Wilson's interval of 40 of 40 begins at 40 / (40 + 1.96^2)."""
    low, high = interval(1.0, 0.0, 40)
    assert high == 1.0 and low == pytest.approx(40 / (40 + 1.959964**2), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_of_transformers(kind, tmp_path):
    """Vectors as the model itself gives them; long texts are cut, and a batch changes nothing."""
    import torch
    from PIL import Image

    model = make_encoder(kind, tmp_path / "enc")
    encoder = DualEncoder(str(tmp_path / "enc"), "cpu")
    pictures = [Image.effect_noise((40, 50 + n), 90).convert("RGB") for n in range(3)]
    texts = ["Chó con", "नमस्ते " * 50, "กา"]
    images, said = encoder.images(pictures), encoder.texts(texts)
    assert images.shape == said.shape == (3, 16)
    np.testing.assert_allclose(encoder.texts(texts[2:]), said[2:], atol=1e-6)
    with torch.inference_mode():
        tokens = encoder._processor.tokenizer(
            ["chó con" if kind == "siglip" else "Chó con"], padding="max_length", max_length=64, return_tensors="pt"
        )
        if kind == "clip":  # its last token is found by its number; padding would follow it
            tokens = encoder._processor.tokenizer(["Chó con"], return_tensors="pt")
        own = model.get_text_features(**tokens).pooler_output
    np.testing.assert_allclose(said[:1], torch.nn.functional.normalize(own).numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", DUAL)
def test_encoders_of_other_kinds(kind, tmp_path):
    """In a batch or alone, whatever side the checkpoint pads on; texts are cut where its positions end."""
    from PIL import Image

    encoder = DualEncoder(str(other_encoder(kind, tmp_path / kind)), "cpu")
    pictures = [Image.effect_noise(size, 90).convert("RGB") for size in ((40, 60), (32, 32), (90, 30))]
    texts = ["Chó con", "नमस्ते " * 50, "กา"]
    for encode, values in ((encoder.images, pictures), (encoder.texts, texts)):
        found = encode(values)
        assert found.shape == (3, 16) and np.abs(found[0] - found[1]).max() > 1e-4
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(np.concatenate([encode([value]) for value in values]), found, atol=2e-6)
    np.testing.assert_allclose(encoder.texts([texts[1] + "กา"]), encoder.texts(texts)[1:2], atol=2e-6)


@pytest.mark.parametrize("kind", NO_DUAL)
def test_models_of_other_kinds_are_refused_in_one_line(kind, dataset, tmp_path):
    from mella_hf.cli import main

    with pytest.raises(SystemExit) as end:
        main(["relevance", str(dataset), "--model", str(other_encoder(kind, tmp_path / kind)), "--workers", "0"])
    (said,) = str(end.value.code).splitlines()
    assert "siglip2" in said and re.search("not a dual encoder|one space", said)


def test_what_is_no_dual_encoder(tmp_path, tiny_qwen2vl):
    with pytest.raises(MellaError, match=r"is not a dual encoder.*siglip2"):
        DualEncoder(str(tiny_qwen2vl))
    with pytest.raises(MellaError, match="read the"):
        encoder_name(str(tmp_path / "nothing"))
    for wrong in (0.0, 1.0, 1.5, -1.0, float("nan")):
        with pytest.raises(MellaError, match="between 0 and 1"):
            RelevanceSettings("clip", wrong)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("encoders")
    for kind in KINDS:
        make_encoder(kind, root / kind)
    return {kind: str(root / kind) for kind in KINDS}


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Arabic with training, test and ling; Thai with too few pairs."""
    folder = tmp_path / "mella"
    write_split([record(n, domain="a.example") for n in range(70)], folder, "ar", "know")
    write_split([record(n) for n in range(70, 80)], folder, "ar", "know_test")
    write_split([record(n, source="ling") for n in range(100, 140)], folder, "ar", "ling")
    write_split([record(n, "th") for n in range(200, 205)], folder, "th", "know")
    write_funnel(folder, {"ar": {"know": {"kept": 80, "dropped_image_missing": 3}}})
    write_card(folder)
    return folder


def rows(folder: Path) -> dict[str, dict]:
    return {
        row["id"]: row for path in sorted(folder.glob("[a-z]*/*.parquet")) for row in pq.read_table(path).to_pylist()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_relevance_of_a_dataset_by_the_command(kind, encoders, dataset, tmp_path):
    before = rows(dataset)
    command = ["relevance", str(dataset), "--model", encoders[kind], "--workers", "0", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert "use no cutoff" in CliRunner().invoke(app, command[:-1]).output  # a random encoder knows no language
    assert told["measured"] == 120 and told["dropped"] == {}
    assert [(one["language"], one["source"], one["pairs"], one["unmeasured"]) for one in told["languages"]] == [
        ("ar", "know", 80, 0), ("ar", "ling", 40, 0), ("th", "know", 0, 5),
    ]  # fmt: skip
    after = rows(dataset)
    added = ("relevance", "relevance_model")
    strip = lambda row: {name: value for name, value in row.items() if name not in added}  # noqa: E731
    assert {key: strip(row) for key, row in after.items()} == {key: strip(row) for key, row in before.items()}
    name = f"{kind} "
    for row in after.values():
        if row["language"] == "th":
            assert row["relevance"] is None and row["relevance_model"] is None
        else:
            assert 0 <= row["relevance"] <= 1 and row["relevance_model"].startswith(name)
            assert str(tmp_path) not in row["relevance_model"]
    assert verify_dataset(dataset, workers=0, progress=False).problems == []
    loaded = load_dataset("mella", "ar", data_dir=str(dataset), split="know", cache_dir=str(tmp_path / "c"))
    assert {row["id"]: row["relevance"] for row in loaded.remove_columns("image")} == {
        key: row["relevance"] for key, row in after.items() if key in set(loaded["id"])
    }
    page = (dataset / "relevance.html").read_text("utf-8")
    assert "AUROC" in page and "too few" in page and "ar" in page and "<script" not in page
    facts = json.loads((dataset / "relevance.json").read_text("utf-8"))
    assert facts["cutoff"] is None and facts["languages"] == told["languages"]
    assert "relevance_model: " in (dataset / "README.md").read_text("utf-8")


def test_a_cutoff_later_costs_no_encoding_and_is_applied_once(encoders, dataset, monkeypatch):
    settings = RelevanceSettings(encoders["clip"])
    measure_dataset(dataset, settings, workers=0, progress=False)
    measured = rows(dataset)

    def never(*_):
        raise AssertionError("nothing is encoded again")

    monkeypatch.setattr(stages, "_encoder", never)
    mended = {path: path.stat().st_mtime_ns for path in dataset.glob("[a-z]*/*.parquet")}
    again = measure_dataset(dataset, settings, workers=0, progress=False)
    assert again.measured == 0 and {path: path.stat().st_mtime_ns for path in mended} == mended
    cut = RelevanceSettings(encoders["clip"], 0.5)
    report = measure_dataset(dataset, cut, workers=0, progress=False)
    stay = {key for key, row in measured.items() if row["relevance"] is None or row["relevance"] >= 0.5}
    assert set(rows(dataset)) == stay and sum(report.dropped.values()) == len(measured) - len(stay) > 0
    assert {row["relevance"] for row in rows(dataset).values()} <= {row["relevance"] for row in measured.values()}
    told = read_funnel(dataset)["ar"]["know"]
    gone = report.dropped["ar/know"] + report.dropped["ar/know_test"]
    assert told == {"kept": 80 - gone, "dropped_image_missing": 3, "dropped_irrelevant": gone}
    assert "highest left out" in (dataset / "relevance.html").read_text("utf-8")
    assert verify_dataset(dataset, workers=0, progress=False).problems == []
    assert not measure_dataset(dataset, cut, workers=0, progress=False).dropped.total()


def test_another_encoder_measures_anew(encoders, dataset):
    for kind in KINDS:
        measure_dataset(dataset, RelevanceSettings(encoders[kind]), workers=0, progress=False)
    assert {(row["relevance_model"] or "none").split()[0] for row in rows(dataset).values()} == {"siglip", "none"}


@contextmanager
def killed_in_the_moves(dataset, at):
    """Interrupt whatever renames or deletes files of a dataset, after so many of them since the plan was written."""
    steps = iter(range(at))

    def dying(real):
        def step(*arguments, **options):
            moving = (dataset / ".removal/plan.json").exists() and remove.LOCK not in str(arguments)
            if moving and next(steps, None) is None:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remove.os, "replace", dying(remove.os.replace))
        patch.setattr(remove.Path, "unlink", dying(remove.Path.unlink))
        yield


@pytest.mark.parametrize("at", range(6))
def test_killed_while_the_shards_take_their_places(at, encoders, dataset):
    """After any of the moves: the next call ends as if nothing had happened."""
    settings = RelevanceSettings(encoders["clip"], 0.5)
    whole = dataset.with_name("whole")
    shutil.copytree(dataset, whole)
    measure_dataset(whole, settings, workers=0, progress=False)
    with pytest.raises(KeyboardInterrupt), killed_in_the_moves(dataset, at):
        measure_dataset(dataset, settings, workers=0, progress=False)
    measure_dataset(dataset, settings, workers=0, progress=False)
    assert rows(dataset) == rows(whole)
    assert verify_dataset(dataset, workers=0, progress=False).problems == []
    assert read_funnel(dataset) == read_funnel(whole)


@pytest.mark.parametrize("at", range(3))
def test_a_takedown_after_the_kill_stays(at, encoders, dataset):
    """Whoever opens the folder next finishes the moves first; so no later call brings back what was taken down."""
    settings = RelevanceSettings(encoders["clip"])
    with pytest.raises(KeyboardInterrupt), killed_in_the_moves(dataset, at):
        measure_dataset(dataset, settings, workers=0, progress=False)
    gone = min(row["id"] for row in rows(dataset).values() if row["language"] == "ar")
    remove.remove_samples(dataset, ids=[gone])
    measured = measure_dataset(dataset, settings, workers=0, progress=False)
    assert gone not in {row["id"] for row in rows(dataset).values()} and measured.measured == 0
    assert all(row["relevance"] is not None for row in rows(dataset).values() if row["language"] == "ar")
    assert verify_dataset(dataset, workers=0, progress=False).problems == []


def test_images_that_cannot_be_read_stay_without_relevance(encoders, tmp_path):
    """And do not shift the others: rows keep their places."""
    samples = [record(n) for n in range(60)]
    for n in (0, 31, 32, 59):
        samples[n]["image"] = {"bytes": b"no image" if n else b"", "path": None}
    pq.write_table(pa.Table.from_pylist(samples, schema=SCHEMA), tmp_path / "rows.parquet", row_group_size=25)
    run = {"workers": 0, "progress": False}
    found = measure([tmp_path / "rows.parquet"], tmp_path / "work", RelevanceSettings(encoders["clip"]), **run)
    values = relevance_of(found.calibrated, 0, 60)
    assert np.flatnonzero(np.isnan(values)).tolist() == [0, 31, 32, 59]
    assert sum(found.unmeasured.values()) == 4 and summarise(found.measures)[0].pairs == 56
    good = [sample for n, sample in enumerate(samples) if n not in (0, 31, 32, 59)]
    pq.write_table(pa.Table.from_pylist(good, schema=SCHEMA), tmp_path / "good.parquet")
    alone = measure([tmp_path / "good.parquet"], tmp_path / "alone", RelevanceSettings(encoders["clip"]), **run)
    np.testing.assert_allclose(values[~np.isnan(values)], relevance_of(alone.calibrated, 0, 56), atol=1e-3)


def test_more_pairs_than_one_part(encoders, tmp_path, monkeypatch):
    """Parts of some pairs each: what is left over stays with the last, and no row is lost or measured twice."""
    monkeypatch.setattr(stages, "_EMBEDDED", 20)
    monkeypatch.setattr(stages, "_TOGETHER", 50)
    samples = [record(n, image=picture(n if n % 7 else 1)) for n in range(130)]
    for name, part in (("a", samples[:90]), ("b", samples[90:])):
        pq.write_table(pa.Table.from_pylist(part, schema=SCHEMA), tmp_path / f"{name}.parquet", row_group_size=10)
    found = measure(
        [tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "work", RelevanceSettings(encoders["clip"]),
        workers=0, progress=False,
    )  # fmt: skip
    assert [one["pairs"] for one in found.measures] == [60, 70]
    assert not np.isnan(relevance_of(found.calibrated, 0, 90)).any()
    assert not np.isnan(relevance_of(found.calibrated, 1, 40)).any()
    (one,) = summarise(found.measures)
    assert one.pairs == 130 and one.low < one.auroc < one.high


def test_in_processes_of_their_own(encoders, dataset):
    """The values do not depend on where they are computed."""
    other = dataset.with_name("other")
    shutil.copytree(dataset, other)
    measure_dataset(dataset, RelevanceSettings(encoders["clip"]), workers=0, progress=False)
    measure_dataset(other, RelevanceSettings(encoders["clip"]), workers=1, progress=False)
    mine, theirs = ({key: row["relevance"] for key, row in rows(folder).items()} for folder in (dataset, other))
    assert mine == pytest.approx(theirs, abs=2e-3)


def test_collecting_with_relevance_by_the_command(encoders, serve, tmp_path):
    (tmp_path / "site").mkdir()
    words = "samaki soko mtoto mwanamke nyumba barabara mlima ziwa mti ndege gari kitabu shule chakula maji".split()
    draw = random.Random(5)
    images = []
    for number in range(48):
        (tmp_path / f"site/{number}.jpg").write_bytes(picture(number, size=(160, 120)))
        alt = f"Picha ya {' na '.join(draw.sample(words, 3))} katika mji wa Mwanza"
        images.append(f'<p><img src="{number}.jpg" alt="{alt}"></p>')
    (tmp_path / "site/page.html").write_text(f'<html lang="sw"><title>Picha</title>{"".join(images)}</html>', "utf-8")
    base = serve({"i": [tmp_path / "site"]})
    (tmp_path / "urls.txt").write_text(f"{base}/i/page.html\n")
    command = [
        "collect", "--urls", str(tmp_path / "urls.txt"), "--languages", "sw", "--contact", "test@example.org",
        "--out", str(tmp_path / "out"), "--min-side", "100", "--delay", "0", "--allow-private", "127.0.0.0/8",
        "--workers", "0", "--test-size", "0", "--relevance", encoders["siglip"],
    ]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    every = rows(tmp_path / "out")
    assert len(every) == 48 and all(row["relevance"] is not None for row in every.values())
    done = CliRunner().invoke(app, [*command, "--relevance-cutoff", "0.5"])
    assert done.exit_code == 0, done.output
    kept = rows(tmp_path / "out")
    assert kept == {key: row for key, row in every.items() if row["relevance"] >= 0.5} and len(kept) < 48
    assert f"irrelevant {48 - len(kept)}" in done.output
    rejects = [
        json.loads(line) for path in (tmp_path / "out").glob(".collect/relevant/rejects/*")
        for line in path.read_text("utf-8").splitlines()
    ]  # fmt: skip
    assert {reject["id"] for reject in rejects} == set(every) - set(kept)
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert "AUROC" in page and "lowest kept" in page and "highest left out" in page
    assert json.loads((tmp_path / "out/report.json").read_text("utf-8"))["relevance"]["languages"][0]["pairs"] == 48
    for wrong, says in (
        (["--texts-only"], "leave --texts-only out"), (["--relevance-cutoff", "2"], "between 0 and 1"),
        (["--relevance", str(tmp_path / "none")], "read the"),
    ):  # fmt: skip
        refused = CliRunner().invoke(app, [*command, *wrong])
        assert refused.exit_code == 1 and says in str(refused.exception), refused.output


def test_the_folder_must_be_a_dataset(encoders, tmp_path):
    for folder, says in ((tmp_path, "holds no dataset"), (tmp_path / "none", "not a folder")):
        with pytest.raises(MellaError, match=says):
            measure_dataset(folder, RelevanceSettings(encoders["clip"]), workers=0)
    assert not shard_paths(tmp_path, "ar", "know")
