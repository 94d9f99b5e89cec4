"""A long review: 100,000 samples, half of them decided, and 20 reviewers who work at once on one server.

    python benchmarks/review.py [--samples N]

Bars, on a quiet machine: the 99th percentile of each of `next` (in every order), `back` and a decision under 20 ms in
the server's process; importing and exporting as many decisions as there are samples each under 5 s, and growing
linearly (twice the decisions take at most 2.6 times as long). Ends with 1 when a bar is missed.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from mella_hf.reviewing.exchange import read_decisions, write_decisions
from mella_hf.reviewing.queue import Item, Queue
from mella_hf.reviewing.session import Review
from mella_hf.reviewing.store import Decision, ReviewStore, text_hash

REVIEWERS = [f"reviewer-{n}" for n in range(20)]
ROUNDS = 50  # of each reviewer
REQUEST_MS, EXCHANGE_SECONDS, GROWTH = 20.0, 5.0, 2.6


def made_up(samples: int) -> list[Item]:
    """Samples without images; nothing here opens one."""
    draw = random.Random(1)
    return [
        Item(f"{n:064x}", "ar", f"نص {n}", f"Text {n}.", draw.random(), "made-up", None, (Path("none"), 0, n))
        for n in range(samples)
    ]


def decided(items: list[Item]) -> list[Decision]:
    """A decision on every second sample; one in ten of these has two, which disagree."""
    draw = random.Random(2)
    made = []
    for n, item in enumerate(items[::2]):
        first, second = draw.sample(REVIEWERS, 2)
        shown = text_hash(item.text)
        made.append(Decision(item.id, "ar", first, "accept", shown=shown, at=f"2026-01-01T00:00:00.{2 * n:09d}"))
        if n % 10 == 0:
            made.append(
                Decision(item.id, "ar", second, "reject", None, "wrong", shown, f"2026-01-01T00:00:00.{2 * n + 1:09d}")
            )
    return made


def requests(review: Review) -> dict[str, list[float]]:
    """Milliseconds of each kind of request, all reviewers in turn."""
    taken: dict[str, list[float]] = defaultdict(list)

    def timed(kind: str, act) -> object:  # type: ignore[no-untyped-def]
        start = time.perf_counter()
        result = act()
        taken[kind].append(1000 * (time.perf_counter() - start))
        return result

    def following(reviewer: str, order: str) -> dict | None:
        review.queue.follow(review.store)
        item = review.queue.next(reviewer, order)
        review.progress(reviewer)
        return review.view(item, reviewer) if item else None

    for reviewer in REVIEWERS:  # the first request of a reviewer shuffles the queue for them
        timed("first", lambda who=reviewer: following(who, "random"))
    for _ in range(ROUNDS):
        for order in ("worst", "random", "disagreement"):
            for reviewer in REVIEWERS:
                shown = timed(f"next, {order}", lambda who=reviewer, by=order: following(who, by))
                if shown is not None:
                    body = {"id": shown["id"], "language": "ar", "action": "accept"}
                    timed("decide", lambda who=reviewer, what=body: review.decide(what, who))
                    timed("back", lambda who=reviewer, at=shown["id"]: review.decided_before(at, "ar", who))
    return taken


def exchange(items: list[Item], folder: Path) -> dict[str, float]:
    """Seconds to import and to export a decision on every sample."""
    shown = {item.id: text_hash(item.text) for item in items}
    history = [
        Decision(i.id, "ar", "reviewer-0", "accept", shown=shown[i.id], at=f"{n:09d}") for n, i in enumerate(items)
    ]
    queue, seconds = Queue(items, history), {}
    store = ReviewStore(folder / f"{len(items)}.sqlite")
    for ending in (".parquet", ".jsonl"):
        path = folder / f"{len(items)}{ending}"
        start = time.perf_counter()
        write_decisions(queue, history, path)
        seconds[f"export {ending}"] = time.perf_counter() - start
        start = time.perf_counter()
        store.add(read_decisions(path))
        seconds[f"import {ending}"] = time.perf_counter() - start
    assert len(store.history()) == len(items)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    items = made_up(parser.parse_args().samples)
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        store = ReviewStore(Path(folder) / "state.sqlite")
        store.add(decided(items))
        queue = Queue(items)
        queue.follow(store)
        for kind, taken in requests(Review(queue, store)).items():
            ordered = sorted(taken)
            median, high = ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))]
            print(f"{kind:20} n {len(taken):5}  median {median:7.2f} ms  99% {high:7.2f} ms")
            if kind != "first" and high > REQUEST_MS:
                missed.append(f"{kind}: {high:.1f} ms")
        half, whole = (exchange(items[: len(items) // part], Path(folder)) for part in (2, 1))
        for kind, seconds in whole.items():
            growth = seconds / half[kind]
            print(f"{kind:20} {seconds:6.2f} s, {growth:.2f} x the half")
            if seconds > EXCHANGE_SECONDS or growth > GROWTH:
                missed.append(f"{kind}: {seconds:.1f} s, {growth:.1f} x")
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
