"""Who sees what next, what is decided by whom, and what leaves."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import load_dataset
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.errors import MellaError
from mella_hf.reviewing.compare import read_pairs, tally
from mella_hf.reviewing.exchange import imported, read_decisions, write_decisions, write_reviewed
from mella_hf.reviewing.queue import Item, Queue, majority, read_items
from mella_hf.reviewing.status import status
from mella_hf.reviewing.store import Decision, ReviewStore, text_hash


def decision(item: Item, reviewer: str, action: str, **more: str) -> Decision:
    if action == "reject":
        more.setdefault("reason", "not fluent")
    return Decision(item.id, item.language, reviewer, action, shown=text_hash(item.text), **more)


def test_worst_first_and_none_twice(queue_folder: Path) -> None:
    queue = Queue(read_items(queue_folder), double=0)
    seen = []
    while item := queue.next("layla"):
        seen.append(item)
        queue.take(decision(item, "layla", "accept"))
    assert len({item.key for item in seen}) == 12
    scores = [item.qe_score for item in seen]
    assert scores == sorted(scores)
    assert queue.next("omar") is None  # one reviewer each is enough
    assert queue.progress == {"accept": 12, "open": 0}


def test_two_reviewers_do_not_do_the_same_work(queue_folder: Path) -> None:
    queue = Queue(read_items(queue_folder), double=0)
    first, second = queue.next("layla"), queue.next("omar")
    assert first and second and first.key != second.key
    assert queue.next("layla") == first  # hers until she decides


def test_doubled_samples_go_to_two_and_splits_to_a_third(queue_folder: Path) -> None:
    queue = Queue(read_items(queue_folder), double=1)
    item = queue.next("layla")
    assert item is not None
    queue.take(decision(item, "layla", "accept"))
    assert queue.outcome(item.key) == "open" and queue.next("omar") == item
    queue.take(decision(item, "omar", "reject"))
    assert queue.outcome(item.key) == "disagreement"
    assert queue.next("layla", "disagreement") is None and queue.next("omar", "disagreement") is None
    assert queue.next("noor", "disagreement") == item
    queue.take(decision(item, "noor", "reject"))
    assert queue.outcome(item.key) == "reject"
    queue.take(decision(item, "noor", "edit", text="نص آخر"))  # a changed mind
    assert queue.outcome(item.key) == "edit"


def test_a_random_order_is_another_for_each_and_stays(queue_folder: Path) -> None:
    items = read_items(queue_folder)

    def order(reviewer: str) -> list[str]:
        queue, seen = Queue(items, double=0), []
        while item := queue.next(reviewer, "random"):
            seen.append(item.id)
            queue.take(decision(item, reviewer, "accept"))
        return seen

    assert order("layla") == order("layla") != order("omar")
    with pytest.raises(MellaError, match="Unknown order 'best'; choose among worst, random, disagreement"):
        Queue(items).next("layla", "best")


def test_a_share_is_doubled() -> None:
    items = [Item(f"{i:064x}", "ar", "x", None, None, None, None, (Path(), 0, i)) for i in range(2000)]
    queue = Queue(items, double=0.1)
    assert 160 <= sum(queue.needed(item) == 2 for item in items) <= 240  # 200 +- 3 sd of 13.4


def test_majorities() -> None:
    assert majority(["accept", "reject"]) is None and majority([]) is None
    assert majority(["accept", "edit"]) == "edit" and majority(["accept", "accept", "reject"]) == "accept"
    assert majority(["edit", "reject", "reject"]) == "reject"


def test_decisions_can_only_be_added(tmp_path: Path, queue_folder: Path) -> None:
    store, item = ReviewStore(tmp_path / "state.sqlite"), read_items(queue_folder)[0]
    store.add_reviewer("layla")
    store.add([decision(item, "layla", "accept")])
    store.add([decision(item, "layla", "reject")])
    with sqlite3.connect(tmp_path / "state.sqlite") as database:
        for change in ("UPDATE decisions SET action = 'accept'", "DELETE FROM decisions", "DELETE FROM reviewers"):
            with pytest.raises(sqlite3.IntegrityError, match="only added to"):
                database.execute(change)
    assert [d.action for d in store.history()] == ["accept", "reject"]
    assert [d.action for d in store.standing()] == ["reject"]
    with pytest.raises(MellaError, match="has no reason"):
        store.add([decision(item, "layla", "reject", reason=" ")])
    with pytest.raises(MellaError, match="has no text; reject the sample instead"):
        store.add([decision(item, "layla", "edit")])


def test_tokens_are_not_kept(tmp_path: Path) -> None:
    store = ReviewStore(tmp_path / "state.sqlite")
    old, new = store.add_reviewer("layla"), store.add_reviewer("layla")
    other = store.add_reviewer("omar")
    assert store.who(new) == "layla" and store.who(other) == "omar"
    assert store.who(old) is None and store.who("") is None
    store.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(token.encode() in raw for token in (old, new, other))


def test_a_decision_on_another_text_does_not_count(queue_folder: Path) -> None:
    item = read_items(queue_folder)[0]
    queue = Queue([item], [replace(decision(item, "layla", "accept"), shown=text_hash("an older text"))])
    assert queue.outcome(item.key) == "open" and queue.stale == 1


def test_the_reviewed_dataset_loads(queue_folder: Path, tmp_path: Path) -> None:
    queue = Queue(read_items(queue_folder), double=0)
    arabic = [item for item in queue.items.values() if item.language == "ar"]
    thai = [item for item in queue.items.values() if item.language == "th"]
    for item in arabic[:3]:
        queue.take(decision(item, "layla", "accept"))
    queue.take(decision(arabic[3], "layla", "edit", text="دائرة سوداء تتوسط الصورة."))
    queue.take(decision(arabic[4], "layla", "reject", reason="not fluent"))
    queue.take(decision(thai[0], "somchai", "accept"))
    counts = write_reviewed(queue, queue_folder, tmp_path / "reviewed")
    assert counts == {"accepted": 4, "edited": 1, "dropped_review_rejected": 1, "dropped_review_open": 6}
    rows = load_dataset("mella", "ar", data_dir=str(tmp_path / "reviewed"), split="ling")
    assert sorted(zip(rows["id"], rows["review"], rows["text"], strict=True)) == sorted(
        [(item.id, "accepted", item.text) for item in arabic[:3]]
        + [(arabic[3].id, "edited", "دائرة سوداء تتوسط الصورة.")]
    )
    rejects = [json.loads(line) for line in open(tmp_path / "reviewed/rejects/ar-ling-review.jsonl", encoding="utf-8")]
    assert {(line["where"], line["reason"]) for line in rejects} == {
        (arabic[4].id, "review_rejected"), (arabic[5].id, "review_open"),
    }  # fmt: skip
    funnel = json.loads((tmp_path / "reviewed/funnel.json").read_text("utf-8"))["ar"]["ling"]
    assert funnel == {"kept": 4, "dropped_qe_low": 2, "dropped_review_rejected": 1, "dropped_review_open": 1}
    with pytest.raises(MellaError, match="is not empty"):
        write_reviewed(queue, queue_folder, tmp_path / "reviewed")


@pytest.mark.parametrize("name", ["decisions.parquet", "decisions.jsonl"])
def test_decisions_travel(name: str, queue_folder: Path, tmp_path: Path) -> None:
    store, items = ReviewStore(tmp_path / "a.sqlite"), read_items(queue_folder)
    store.add([decision(items[0], "layla", "edit", text="نص <b>آخر</b>"), decision(items[1], "layla", "reject")])
    store.add([decision(items[0], "omar", "accept"), decision(items[2], "omar", "skip")])
    queue = Queue(items, store.standing())
    write_decisions(queue, store.history(), tmp_path / name)
    other = ReviewStore(tmp_path / "b.sqlite")
    read = [imported(found, queue) for found in read_decisions(tmp_path / name)]
    assert other.add(read) == 4 and other.add(read) == 0  # a second import adds nothing
    assert set(other.standing()) == set(store.standing())


def test_a_record_from_elsewhere(queue_folder: Path, tmp_path: Path) -> None:
    """Without what was shown and without a reason: bound to the text that the queue has now."""
    item = read_items(queue_folder)[0]
    record = {
        "id": item.id,
        "fields": {"translation": item.text},
        "metadata": {"language": "ar"},
        "suggestions": {},
        "responses": {"verdict": [{"value": "reject", "user_id": "8f0c"}]},
    }
    (tmp_path / "own.jsonl").write_text(json.dumps(record) + "\n", "utf-8")
    queue = Queue([item])
    (found,) = [imported(d, queue) for d in read_decisions(tmp_path / "own.jsonl")]
    assert (found.action, found.reviewer, found.reason) == ("reject", "8f0c", "rejected elsewhere")
    (tmp_path / "bad.jsonl").write_text("{}\n", "utf-8")
    with pytest.raises(MellaError, match=r"bad\.jsonl, line 1 holds no decisions: id: Field required"):
        read_decisions(tmp_path / "bad.jsonl")


def test_status_says_how_well_reviewers_agree(queue_folder: Path) -> None:
    queue = Queue(read_items(queue_folder), double=1)
    verdicts = {
        "layla": ["accept"] * 5 + ["reject"] * 5,
        "omar": ["accept"] * 4 + ["reject"] + ["accept"] * 2 + ["reject"] * 3,
    }
    for reviewer, given in verdicts.items():
        for item, action in zip(queue.items.values(), given, strict=False):
            queue.take(decision(item, reviewer, action))
    found = status(queue)
    (pair,) = found["agreement"]["pairs"]
    # 7 of 10 alike; by chance .5 * .6 + .5 * .4 = .5: (.7 - .5) / .5
    assert pair == {"reviewers": ["layla", "omar"], "samples": 10, "cohen_kappa": pytest.approx(0.4)}
    assert found["outcomes"] == {"accept": 4, "reject": 3, "disagreement": 3, "open": 2}


def answers(path: Path, texts: dict[str, str]) -> Path:
    lines = [json.dumps({"id": key, "prompt": "ما هذا؟", "prediction": text}) for key, text in texts.items()]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_blind_choice_is_counted_for_the_right_system(queue_folder: Path, tmp_path: Path) -> None:
    items = [item for item in read_items(queue_folder) if item.language == "ar"]
    first = answers(tmp_path / "first.jsonl", {item.id: f"أول {item.id[:4]}" for item in items})
    second = answers(tmp_path / "second.jsonl", {item.id: "ثان" for item in items})
    pairs = read_pairs(items, first, second)
    assert {pair.swapped(f"r{n}") for pair in pairs for n in range(8)} == {True, False}
    votes = [("first", 4), ("second", 1), ("tie", 1)]
    chosen = [
        Decision(pair.item.id, "ar", "layla", action, shown=pair.shown)
        for pair, action in zip(pairs, [action for action, count in votes for _ in range(count)], strict=True)
    ]
    found = tally(pairs, chosen)
    assert (found["first"], found["second"], found["tie"]) == (4, 1, 1)
    assert found["first_rate"] == pytest.approx(0.8) and found["p_value"] == pytest.approx(2 * (5 + 1) / 32)
    answers(tmp_path / "short.jsonl", {items[0].id: "ثان"})
    with pytest.raises(MellaError, match=r"short\.jsonl has no answer for"):
        read_pairs(items, first, tmp_path / "short.jsonl")


def test_errors_name_what_is_wrong(queue_folder: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    for arguments, message in {
        (str(tmp_path / "nowhere"),): "does not exist; give a dataset folder or a Parquet file",
        (str(queue_folder),): "Nobody can open this review yet; name someone with --reviewer NAME",
        (
            str(queue_folder),
            "--export",
            str(tmp_path / "x.csv"),
            "--state",
            str(queue_folder / "README.md"),
        ): "is not a file of decisions",
        (str(queue_folder), "--answers", str(queue_folder / "README.md")): "--answers was given 1 times",
    }.items():
        result = run(app, ["review", *arguments])
        assert isinstance(result.exception, MellaError) and message in str(result.exception), arguments
