"""What people, files and networks do to a review: hostile texts, damaged files, kills, silent connections."""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect
from scipy.stats import binomtest
from test_review_page import Server, make_server, press, shown, source  # noqa: F401  (a fixture)
from typer.testing import CliRunner

from mella_hf.cli import app, main
from mella_hf.errors import MellaError
from mella_hf.reviewing.calibration import calibrate, smallest_threshold
from mella_hf.reviewing.exchange import read_decisions, write_decisions
from mella_hf.reviewing.opening import only_server, review
from mella_hf.reviewing.queue import Item, Queue, read_items
from mella_hf.reviewing.serving import link, warning
from mella_hf.reviewing.session import Review
from mella_hf.reviewing.store import Decision, ReviewStore, text_hash

NOWHERE = (Path("none"), 0, 0)


def sample(name: str, language: str = "ar", text: str = "نص", score: float | None = 0.5) -> Item:
    return Item(name, language, text, "A text.", score, "by-hand", None, NOWHERE)


def decision(item: Item, reviewer: str = "layla", action: str = "accept", **more: Any) -> Decision:
    return Decision(item.id, item.language, reviewer, action, shown=text_hash(item.text), **more)


# Half of a surrogate pair


@pytest.mark.parametrize("bad", ["\ud83d", "a\udc00b", "\udfff" * 3])
def test_half_a_character_is_refused_and_the_next_decision_is_kept(bad: str, tmp_path: Path) -> None:
    store, item = ReviewStore(tmp_path / "s.sqlite"), sample("a")
    review = Review(Queue([item]), store)
    with pytest.raises(MellaError, match="half of a character"):
        review.decide({"id": "a", "language": "ar", "action": "edit", "text": bad}, "layla")
    with pytest.raises(MellaError, match="half of a character"):
        review.decide({"id": "a", "language": "ar", "action": "reject", "reason": bad}, "layla")
    review.decide({"id": "a", "language": "ar", "action": "accept"}, "omar")
    assert [d.reviewer for d in store.history()] == ["omar"]


def test_whatever_is_raised_the_transaction_ends(tmp_path: Path) -> None:
    store, item = ReviewStore(tmp_path / "s.sqlite"), sample("a")
    with pytest.raises(KeyboardInterrupt), store._transaction():
        raise KeyboardInterrupt
    assert store.add([decision(item)]) == 1


def test_the_page_shows_why_and_goes_on(queue_folder: Path, make_server: Any) -> None:  # noqa: F811
    server: Server = make_server(queue_folder, "--double", "0")
    server.start("--reviewer", "layla")
    token = server.links["layla"].split("token=")[1]
    sample_shown = json.loads(server.ask("/api/next", token)[1])["sample"]
    about = {"id": sample_shown["id"], "language": sample_shown["language"]}
    status, said = server.ask(
        "/api/decisions", token, json.dumps({**about, "action": "edit", "text": "x\ud83dy"}).encode()
    )
    assert status == 400 and "half of a character" in json.loads(said)["error"]
    status, said = server.ask("/api/decisions", token, b"[" * 200_000)
    assert status == 400 and "no JSON" in json.loads(said)["error"]
    assert server.ask("/api/decisions", token, json.dumps({**about, "action": "accept"}).encode())[0] == 200
    assert json.loads(server.ask("/api/back", token)[1])["sample"]["earlier"]["action"] == "accept"


# Undo, other processes, older files


def test_undo_gives_the_sample_back(tmp_path: Path) -> None:
    store, items = ReviewStore(tmp_path / "s.sqlite"), [sample("a", score=0.1), sample("b", score=0.2)]
    review = Review(Queue(items, double=0), store)
    review.decide({"id": "a", "language": "ar", "action": "reject", "reason": "wrong"}, "layla")
    assert review.queue.progress == {"open": 1, "reject": 1}
    review.decide({"id": "a", "language": "ar", "action": "undo"}, "layla")
    assert +review.queue.progress == {"open": 2} and store.standing() == []
    assert review.queue.next("layla") == items[0] and review.queue.decided_by("layla") == 0
    assert [d.action for d in store.history()] == ["reject", "undo"]  # only added to


def test_two_servers_on_one_file_share_their_decisions(tmp_path: Path) -> None:
    items = [sample(f"{n}", score=n / 10) for n in range(3)]
    one, other = (Review(Queue(items, double=0), ReviewStore(tmp_path / "s.sqlite")) for _ in range(2))
    one.decide({"id": "0", "language": "ar", "action": "accept"}, "layla")
    other.queue.follow(other.store)
    following = other.queue.next("omar")
    assert following is not None and following.id == "1"


def test_a_second_server_on_one_file_is_refused_from_the_command_line_and_from_python(
    queue_folder: Path,  # noqa: F811
) -> None:
    """It would hand out the same sample."""
    said = r"described.review.sqlite is in use by mella review: process \d+ on .+, since 20"
    with only_server(ReviewStore(queue_folder.parent / "described.review.sqlite")):
        with pytest.raises(SystemExit, match=said):
            main(["review", str(queue_folder), "--reviewer", "layla", "--port", "1"])
        with pytest.raises(MellaError, match=said):
            review(queue_folder, "layla", port=1)
        read = CliRunner().invoke(app, ["review", str(queue_folder), "--status"])
    assert read.exit_code == 0 and '"open"' in read.output


def test_an_older_file_takes_the_actions_of_today(tmp_path: Path) -> None:
    """The table of the first release allowed only its own actions."""
    path = tmp_path / "old.sqlite"
    db = sqlite3.connect(path)
    db.executescript(
        "CREATE TABLE reviewers (name TEXT NOT NULL, token_sha256 TEXT NOT NULL, at TEXT NOT NULL);"
        "CREATE TABLE decisions (sample TEXT NOT NULL, language TEXT NOT NULL, reviewer TEXT NOT NULL,"
        " action TEXT NOT NULL CHECK (action IN ('accept', 'edit', 'reject', 'first', 'second', 'tie', 'skip')),"
        " text TEXT, reason TEXT,"
        " shown TEXT NOT NULL, at TEXT NOT NULL);"
        "CREATE TRIGGER decisions_stay BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'only added to'); END;"
        "CREATE TRIGGER decisions_kept BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'only added to'); END;"
        "INSERT INTO decisions VALUES ('a', 'ar', 'layla', 'skip', NULL, NULL, 'x', '2026-01-01');"
        "INSERT INTO decisions VALUES ('b', 'ar', 'layla', 'accept', NULL, NULL, 'x', '2026-01-02');"
    )
    db.close()
    for _ in range(2):
        store = ReviewStore(path)
        store.close()
    store = ReviewStore(path)
    store.add([Decision("b", "ar", "layla", "undo", shown="x")])
    assert [d.sample for d in store.standing()] == ["a"] and len(store.history()) == 3
    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        store._db.execute("DELETE FROM decisions")


def test_guidelines_undo_and_the_end_by_keyboard(queue_folder: Path, make_server: Any, new_page: Any) -> None:  # noqa: F811
    rules = queue_folder.parent / "rules.md"
    rules.write_text(
        "# Our rules\n\n- Keep **names**.\n\n<script>document.title = 'run'</script> ![x](http://x/y.png)\n"
    )
    server: Server = make_server(queue_folder, "--double", "0", "--guidelines", str(rules))
    server.start("--reviewer", "layla")
    page = new_page()
    page.goto(server.links["layla"])
    first = shown(page)
    page.locator("#guidelines summary").click()
    expect(page.locator("#rules strong")).to_have_text("names")
    assert page.locator("#rules script, #rules img").count() == 0 and page.title() == "Review"
    assert page.locator("#order option").all_text_contents() == ["the lowest scores (12)", "at random (12)"]
    press(page, "a")
    expect(page.locator("#count")).to_have_text("1 of 12, 1 by you")
    page.keyboard.press("u")
    expect(page.locator("#text")).to_have_text(first)
    expect(page.locator("#undo")).to_be_disabled()
    for _ in range(11):
        press(page, "a")
    page.keyboard.press("a")
    expect(page.locator("#end")).to_have_text("You have seen every sample that needs you. Thank you.")
    page.keyboard.press("u")  # from the last page too
    expect(page.locator("#text")).to_be_visible()
    last = shown(page)
    server.stop()
    store = ReviewStore(queue_folder.parent / "described.review.sqlite")
    standing = {d.sample for d in store.standing()}
    assert len(standing) == 11 and last not in {i.text for i in read_items(queue_folder) if i.id in standing}


def test_a_full_disk_is_said_on_the_page_and_the_edit_stays(
    queue_folder: Path,
    make_server: Any,  # noqa: F811
    new_page: Any,
) -> None:
    """The file of decisions is locked by another program, which SQLite reports as a full disk would be: an error."""
    server: Server = make_server(queue_folder, "--double", "0")
    server.start("--reviewer", "layla")
    page = new_page()
    page.goto(server.links["layla"])
    before = shown(page)
    blocker = sqlite3.connect(queue_folder.parent / "described.review.sqlite", isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    page.keyboard.press("e")
    page.locator("#edited").fill("نص جديد")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#notice")).to_contain_text("The server could not do this (OperationalError", timeout=30_000)
    assert page.locator("#edited").input_value() == "نص جديد"
    blocker.execute("ROLLBACK")
    blocker.close()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#text")).not_to_have_text(before)
    (kept,) = ReviewStore(queue_folder.parent / "described.review.sqlite").standing()
    assert (kept.action, kept.text) == ("edit", "نص جديد")


# Files that go out and come back

HOSTILE = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(str.strip)


@settings(max_examples=60, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE, st.sampled_from([".jsonl", ".parquet"]))
def test_every_export_can_be_imported(
    tmp_path_factory: pytest.TempPathFactory, name: str, edit: str, reason: str, ending: str
) -> None:
    queue = Queue([sample(name), sample("other")])
    made = [
        decision(queue.items[name, "ar"], name, "edit", text=f"{edit}\u2028\u2029\x85\x0b", at="1"),
        decision(queue.items["other", "ar"], name, "reject", reason=reason, at="2"),
    ]
    for one in made:
        queue.take(one)
    path = tmp_path_factory.mktemp("out") / f"decisions{ending}"
    write_decisions(queue, made, path)
    assert set(read_decisions(path)) == set(made)


GOOD = {"id": "a", "metadata": {"language": "ar"}, "responses": {"verdict": [{"value": "accept", "user_id": "u"}]}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ([1, 2], "Input should be a valid dictionary"),
        ({"id": 7}, "id: Input should be a valid string"),
        ({"responses": {"verdict": "accept"}}, "responses.verdict: Input should be a valid list"),
        ({"responses": {"verdict": [{"value": "perhaps", "user_id": "u"}]}}, "action: Input should be 'accept'"),
        ({"responses": {"verdict": [{"value": "accept"}]}}, "user_id: Field required"),
        ({"responses": {"verdict": [{"value": "edit", "user_id": "u"}]}}, "an edit has no text"),
        ({"responses": {"colour": []}}, "Input should be 'verdict'"),
        ({"metadata": None}, "metadata: Input should be a valid dictionary"),
    ],
)
def test_a_malformed_import_is_one_line(change: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps({**GOOD, **change} if isinstance(change, dict) else change))
    with pytest.raises(MellaError, match="in.jsonl, line 2 holds no decisions") as error:
        read_decisions(path)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_malformed_parquet_import_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    path.write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(MellaError, match="in.parquet cannot be read as Parquet"):
        read_decisions(path)
    pq.write_table(pa.table({"sample": ["a"]}), path)
    with pytest.raises(MellaError, match="has no column 'action'"):
        read_decisions(path)
    names = ("sample", "language", "reviewer", "action", "text", "reason", "shown", "at")
    pq.write_table(pa.table({name: pa.array([None if name == "shown" else "accept"]) for name in names}), path)
    with pytest.raises(MellaError, match="in.parquet, row 0 holds no decisions: shown"):
        read_decisions(path)


# Rows that nobody can judge


def test_odd_rows_are_set_aside_by_name_and_the_queue_goes_on(tmp_path: Path) -> None:
    rows = {
        "id": ["a/b?c#d%", "b", "c", "d", None],
        "language": ["ar", "ar", "tlh-XX", "ar", "ar"],
        "text": ["نص", None, "Qapla'", " ", "نص"],
        "qe_score": [float("nan"), 0.2, 0.3, 0.4, float("inf")],
    }
    rest = {name: [None] * 5 for name in ("caption_en", "translator", "page_url")}
    image = [{"bytes": b"", "path": None}] * 5
    path = tmp_path / "queue.parquet"
    pq.write_table(pa.table({**rows, **{k: pa.array(v, pa.string()) for k, v in rest.items()}, "image": image}), path)
    aside: list[str] = []
    (item,) = read_items(path, set_aside=aside)
    assert item.qe_score is None and len(aside) == 4
    assert [line.rpartition(": ")[2] for line in aside] == [
        "it has no text", "its language 'tlh-XX' is not known", "it has no text", "it has no id",
    ]  # fmt: skip
    view = Review(Queue([item]), ReviewStore(tmp_path / "s.sqlite")).view(item, "layla")
    assert view["image"] == "image/ar/a%2Fb%3Fc%23d%25"


def test_orders_without_anything_to_order_are_not_offered() -> None:
    unscored = Queue([sample("a", score=None), sample("b", score=None)], double=1)
    assert unscored.left("layla") == {"random": 2}
    for who, action in (("layla", "accept"), ("omar", "reject")):
        unscored.take(decision(unscored.items["a", "ar"], who, action, reason="wrong"))
    assert unscored.left("sami") == {"random": 2, "disagreement": 1}
    assert unscored.left("layla") == {"random": 1}


# The server


def test_status_and_exports_write_nothing(queue_folder: Path, tmp_path: Path) -> None:
    before = sorted(p.name for p in queue_folder.parent.iterdir())
    for flags in (["--status"], ["--export", str(tmp_path / "d.jsonl")]):
        result = CliRunner().invoke(app, ["review", str(queue_folder), *flags])
        assert result.exit_code == 0, result.output
    (tmp_path / "d.jsonl").unlink()
    assert sorted(p.name for p in queue_folder.parent.iterdir()) == before


def test_links_and_warnings() -> None:
    assert link("::1", 7860, "t") == "http://[::1]:7860/?token=t"
    assert link("127.0.0.1", 7860, "t") == "http://127.0.0.1:7860/?token=t"
    assert warning("::1") is None and warning("127.0.0.1") is None
    said = warning("0.0.0.0")
    assert said is not None and "anyone on the network can read" in said and "HTTPS" in said


def test_idle_connections_do_not_silence_the_server(queue_folder: Path, make_server: Any) -> None:  # noqa: F811
    server: Server = make_server(queue_folder)
    command = [sys.executable, "-m", "mella_hf.cli", "review", str(queue_folder), "--port", str(server.port)]
    with ExitStack() as stack:
        server.process = subprocess.Popen(
            ["prlimit", "--nofile=256:256", *command, "--reviewer", "layla"], stdout=subprocess.PIPE, text=True
        )
        assert server.process.stdout
        for line in server.process.stdout:
            if "token=" in line:
                token = line.rsplit("token=", 1)[1].strip()
            if "samples;" in line:
                break
        for _ in range(300):
            connection = stack.enter_context(socket.socket())
            connection.connect(("127.0.0.1", server.port))
        assert server.ask("/api/next", token)[0] == 200


WORKER = """
import sys
from mella_hf.reviewing.store import Decision, ReviewStore
store = ReviewStore(sys.argv[1])
for n in range(10**6):
    store.add([Decision(f"{sys.argv[2]}-{n}", "ar", "layla", "accept", shown="x")])
    print(n, flush=True)
"""


def test_what_was_acknowledged_survives_fifty_kills(tmp_path: Path) -> None:
    draw, acknowledged = random.Random(1), set[str]()
    path = tmp_path / "s.sqlite"
    for kill in range(50):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(kill)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONSAFEPATH": "1"},
        )
        assert worker.stdout
        for _ in range(draw.randrange(1, 8)):
            acknowledged.add(f"{kill}-{int(worker.stdout.readline())}")
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    assert acknowledged <= {one.sample for one in ReviewStore(path).history()}


# Calibration


def test_the_smallest_threshold_of_a_worked_example() -> None:
    """By hand: from .9 on 1 of 1 is good, from .8 on 2 of 3 (two have .8), from .7 on 3 of 4, from .1 on 3 of 5."""
    scores, good = np.array([0.1, 0.7, 0.8, 0.8, 0.9]), np.array([False, True, True, False, True])
    assert smallest_threshold(scores, good, 1.0) == 0.9
    assert smallest_threshold(scores, good, 0.75) == 0.7
    assert smallest_threshold(scores, good, 0.6) == 0.1
    assert smallest_threshold(scores, ~good, 0.9) is None


def test_a_threshold_is_calibrated_by_language() -> None:
    items = [sample(f"{n}", code, score=n / 60) for code in ("ar", "th") for n in range(60)]
    queue = Queue(items, double=1)
    for item in items:
        assert item.qe_score is not None
        good = item.qe_score >= (0.5 if item.language == "ar" else 0.25)
        for who in ("layla", "omar"):
            queue.take(decision(item, who, "accept" if good else "reject", reason=None if good else "wrong"))
    arabic, thai = calibrate(queue, 0.99)
    assert (arabic.samples, arabic.good, arabic.threshold) == (60, 30, 0.5)
    assert (thai.samples, thai.good, thai.threshold) == (60, 45, 0.25)
    assert arabic.low is not None and arabic.high is not None and 0.4 < arabic.low <= 0.5 <= arabic.high < 0.6
    interval = binomtest(30, 30).proportion_ci(method="exact")
    assert arabic.precision == 1 and arabic.precision_low == pytest.approx(interval.low)
    with pytest.raises(MellaError, match="give a share"):
        calibrate(queue, 90)
    with pytest.raises(MellaError, match="judged by two reviewers"):
        calibrate(Queue(items), 0.9)


def test_calibration_from_the_command_line(queue_folder: Path, tmp_path: Path) -> None:
    store = ReviewStore(tmp_path / "s.sqlite")
    store.add([decision(item, who) for item in read_items(queue_folder) for who in ("layla", "omar")])
    store.close()
    flags = ["--state", str(tmp_path / "s.sqlite"), "--calibrate", "0.9"]
    result = CliRunner().invoke(app, ["review", str(queue_folder), *flags])
    assert "ar: 6 doubly judged samples, 6 of them good; threshold 0.750" in result.output, result.output
    assert (
        "few, judge 44 more" in result.output
        and "Thresholds for a precision of 0.9: ar=0.750 th=0.750" in result.output
    )
