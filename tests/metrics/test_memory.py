"""What scoring holds of each line: digests and statistics, never texts or rows."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.metrics import MellaMetric
from mella_hf.metrics.installed import all_metrics, columns
from mella_hf.metrics.statistics import FLAGS, Chunk, Corpus, Span
from mella_hf.metrics.texts.tables import Compact, JoinedTables, blocks, column_sums

MOST = 500  # bytes a line: a million lines fit in 1 GB, beside what Python and the dictionaries take


def quick_count(corpus: Corpus, span: Span) -> Chunk:
    """Statistics that cost no time: what counting itself holds does not grow with the file."""
    n = span[1] - span[0]
    draw = np.random.RandomState(span[0])
    width = sum(metric.width for metric in all_metrics())
    rows, floors = (draw.randint(0, 90, size=(n, width)).astype(float) for _ in range(2))
    rows[:, :3] += 300  # two bytes
    rows[:, 48:50] += draw.rand(n, 2)  # eight
    rows[:, columns()["keywords"]] = floors[:, columns()["keywords"]] = [1.0, 2.0, 0.5, 1.0]
    flags = np.zeros((n, len(FLAGS)), dtype=bool)
    lengths = np.full((n, 2), 9)
    return Chunk(rows, floors, flags, draw.rand(n), lengths, ["cs"] * n, ["cs"] * n, np.zeros(n, dtype=bool))


def peak(path: Path, lines: int, traced: bool = True) -> int:
    """The largest number of bytes that Python and NumPy held while a file was scored."""
    draw = np.random.RandomState(5)
    with path.open("w", encoding="utf-8") as file:
        for at in range(lines):
            text = " ".join(f"slovo{number}" for number in draw.randint(900, size=12))
            row = {"id": f"{at:064x}", "prediction": text, "reference": f"{text} {at}", "keywords": ["Praha"]}
            file.write(json.dumps(row) + "\n")
    if traced:
        tracemalloc.start()
    ended = CliRunner().invoke(app, ["score", str(path), "--language", "cs", "--no-check-references"])
    found = tracemalloc.get_traced_memory()[1]  # 0 when it does not trace
    tracemalloc.stop()
    assert ended.exit_code == 0, ended.output
    return found


def test_scoring_holds_little_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Corpus, "count", quick_count)
    # What is worked on at a time is bounded, at sizes that a test cannot reach.
    for bound in ("texts.tables.BLOCK", "significance._BLOCK_DRAWS", "significance._HELD", "scores.cider._NGRAMS"):
        monkeypatch.setattr(f"mella_hf.metrics.{bound}", 500)
    monkeypatch.setattr("mella_hf.metrics.scores.cider._TEXTS", 500)
    monkeypatch.setattr("mella_hf.metrics.statistics._PARALLEL_FROM", 0)  # as for a large file
    for name, value in (("resamples", 20), ("workers", 1)):
        monkeypatch.setitem(MellaMetric.__init__.__kwdefaults__, name, value)
    peak(tmp_path / "a.jsonl", 200, traced=False)  # imports
    few, many = (peak(tmp_path / "a.jsonl", lines) for lines in (1000, 4000))
    assert (many - few) / 3000 < MOST, (few, many)


def test_columns_take_the_smallest_type_that_holds_them_exactly() -> None:
    values = np.array([[1, 255, 256, 70_000, 0.5, -1, 5e9], [3, 0, 1, 2, 1, 0, 0]])
    table = Compact(4, 7)
    table.write(np.array([2, 0]), values[:, ::1])
    assert np.array_equal(table[[2, 0]], values) and not table[[1, 3]].any()
    assert [column.itemsize for column in table._columns] == [1, 1, 2, 4, 8, 8, 8]
    assert np.array_equal(table.part(slice(1, 3), slice(2, 3)), values[:1, 1:3])
    taken = table.take(np.array([2, 2]))
    assert np.array_equal(taken[:], values[[0, 0]]) and len(taken) == 2


def test_blocks_change_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.RandomState(1).rand(1000, 5)
    table = Compact(1000, 5)
    table.write(np.arange(1000), rows)
    order = np.random.RandomState(2).permutation(1000)
    side = JoinedTables((table, table), order)
    whole = np.hstack((rows, rows))[order]
    monkeypatch.setattr("mella_hf.metrics.texts.tables.BLOCK", 7)
    assert np.array_equal(column_sums(side), whole.sum(axis=0))
    assert np.array_equal(np.concatenate([part for _, part in blocks(side)]), whole)
