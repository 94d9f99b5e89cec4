"""Open a review from Python: `mella_hf.review`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.locks import sole_use
from mella_hf.reviewing.compare import Pair, read_pairs
from mella_hf.reviewing.queue import Queue, read_items
from mella_hf.reviewing.session import Review
from mella_hf.reviewing.store import ReviewStore


@dataclass(frozen=True)
class OpenedQueue:
    """A queue that is ready to be reviewed.

    Attributes:
        queue: the samples, with the decisions of the store taken.
        store: where decisions are.
        pairs: for a blind comparison, the two answers of each sample.
        set_aside: one line for each row that nobody can judge.
    """

    queue: Queue
    store: ReviewStore
    pairs: list[Pair] | None
    set_aside: list[str]


def open_queue(
    queue: str | Path,
    state: str | Path | None,
    double: float,
    answers: Sequence[str | Path] = (),
    *,
    read_only: bool = False,
) -> OpenedQueue:
    """Read a queue, or the pairs of a blind comparison, with the decisions so far.

    Args:
        queue: as in `review`.
        state: as in `review`.
        double: as in `review`.
        answers: as in `review`.
        read_only: write nothing into the file of decisions.

    Raises:
        MellaError: when the queue, the answers or the file of decisions cannot be read.
    """
    queue, set_aside = Path(queue), list[str]()
    items = read_items(queue, ("know_test", "ling_test") if answers else ("ling", "ling_test"), set_aside)
    pairs = read_pairs(items, *map(Path, answers)) if answers else None
    ending = ".compare.sqlite" if pairs else ".review.sqlite"
    store = ReviewStore(state or queue.with_name(queue.name + ending), read_only=read_only)
    shown = {pair.item.key: pair.shown for pair in pairs} if pairs else None
    waiting = Queue([pair.item for pair in pairs] if pairs else items, (), double, shown)
    waiting.follow(store)
    return OpenedQueue(waiting, store, pairs, set_aside)


def review(
    queue: str | Path,
    reviewers: str | Sequence[str] = (),
    *,
    state: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    double: float = 0.1,
    answers: Sequence[str | Path] = (),
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page on which native speakers judge translations, until it is interrupted.

    Args:
        queue: dataset folder, as `describe` writes it, or a Parquet file.
        reviewers: names; each gets a new link.
        state: SQLite file of the decisions; QUEUE.review.sqlite by default.
        host: where to listen.
        port: where to listen.
        double: share of the samples that two reviewers judge.
        answers: two predictions files to choose between blindly instead, on the queue's test images.
        say: receives each line, the links among them.

    Raises:
        MellaError: when the queue cannot be read, nobody may open it, another server has it, or the address is taken.
        MissingExtraError: when the extra `review` is not installed.
    """
    try:
        from mella_hf.reviewing.app import build_app
        from mella_hf.reviewing.serving import link, listen, serve, warning
    except ModuleNotFoundError as error:
        if error.name not in ("uvicorn", "starlette", "h11"):
            raise
        raise MissingExtraError(error.name, "review", "The review page") from error
    if answers and len(answers) != 2:
        raise MellaError(f"answers names {len(answers)} files; give the two to choose between.")
    opened = open_queue(queue, state, double, answers)
    store = opened.store
    with only_server(store):
        listening = listen(host, port)
        for name in [reviewers] if isinstance(reviewers, str) else reviewers:
            say(f"{name}: {link(host, port, store.add_reviewer(name))}")
        if not store.reviewers():
            raise MellaError("Nobody can open this review yet; name someone in reviewers.")
        for line in [*(f"set aside: {line}" for line in opened.set_aside), warning(host)]:
            if line:
                say(line)
        serve(build_app(Review(opened.queue, store, opened.pairs)), listening)


def only_server(store: ReviewStore) -> AbstractContextManager[None]:
    """Hold the file of decisions: two servers would hand out the same sample to two reviewers.

    Raises:
        MellaError: when another server has it.
    """
    path = store.path.absolute()
    return sole_use(path.with_name(f".{path.name}.lock"), store.path, "mella review")
