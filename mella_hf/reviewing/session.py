"""One reviewer's session: show samples and record decisions."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict
from urllib.parse import quote

from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.reviewing.compare import Pair
from mella_hf.reviewing.queue import Item, Queue
from mella_hf.reviewing.store import CHOICES, UNDO, VERDICTS, Decision, ReviewStore

REASONS = (
    "Says something else than the English",
    "Not fluent, no speaker would say it so",
    "Wrong language or script",
    "Something is missing or added",
    "Does not fit the image",
    "Offensive or unsafe",
)


class PageSettings(TypedDict):
    """What the page needs once; `mode` is "judge" or "compare", `guidelines` is HTML."""

    reviewer: str
    mode: str
    reasons: Sequence[str]
    guidelines: str


class Progress(TypedDict):
    """How many samples there are, are done, are done by this reviewer (`mine`), and are left in each order."""

    samples: int
    done: int
    mine: int
    orders: Mapping[str, int]


class Review:
    """Queue and store behind the application.

    Args:
        queue: the samples and what was decided.
        store: where decisions go.
        pairs: for a blind comparison, the answers by sample; the queue then holds just their samples.
        guidelines: HTML that the page shows beside each sample; "" for none.
    """

    def __init__(self, queue: Queue, store: ReviewStore, pairs: list[Pair] | None = None, guidelines: str = ""):
        self.guidelines = guidelines
        self.queue, self.store = queue, store
        self.pairs = {pair.item.key: pair for pair in pairs} if pairs is not None else None

    def page_settings(self, reviewer: str) -> PageSettings:
        """The settings that the page loads once."""
        mode = "judge" if self.pairs is None else "compare"
        return {"reviewer": reviewer, "mode": mode, "reasons": REASONS, "guidelines": self.guidelines}

    def progress(self, reviewer: str) -> Progress:
        """How many samples there are, how many are decided, by whom, and how many each order still has."""
        mine, total = self.queue.decided_by(reviewer), len(self.queue.items)
        return {
            "samples": total,
            "done": total - self.queue.progress["open"] if self.pairs is None else mine,
            "mine": mine,
            "orders": self.queue.left(reviewer),
        }

    def view(self, item: Item, reviewer: str) -> dict[str, Any]:
        """A sample with what the page shows."""
        language = get_language(item.language)
        shown = {
            "id": item.id,
            "language": item.language,
            "language_name": language.name,
            "direction": "rtl" if language.rtl else "ltr",
            "image": f"image/{item.language}/{quote(item.id, safe='')}",
            "english": item.caption_en,
            "score": item.qe_score,
            "translator": item.translator,
        }
        if self.pairs is None:
            return {**shown, "text": item.text, "earlier": self._earlier(item, reviewer)}
        pair = self.pairs[item.key]
        left, right = (pair.second, pair.first) if pair.swapped(reviewer) else (pair.first, pair.second)
        # No English and no score here: they could reveal the systems.
        return {**shown, "english": None, "score": None, "prompt": pair.prompt, "left": left, "right": right}

    def _earlier(self, item: Item, reviewer: str) -> dict[str, Any] | None:
        decision = self.queue.given.get(item.key, {}).get(reviewer)
        return {"action": decision.action, "text": decision.text, "reason": decision.reason} if decision else None

    def decided_before(self, sample: str | None, language: str | None, reviewer: str) -> Item | None:
        """The reviewer's last decision before a sample; their last one of all if they did not decide on it."""
        key = (sample, language) if sample is not None and language is not None else None
        return self.queue.decided_before(key, reviewer)

    def decide(self, body: dict[str, Any], reviewer: str) -> None:
        """Store a decision from the page. Raises MellaError if it is not valid."""
        key = (str(body.get("id")), str(body.get("language")))
        item = self.queue.items.get(key)
        if item is None:
            raise MellaError(f"The sample {key[0]} is not in this queue; load the page again.")
        action, text, reason = body.get("action"), body.get("text"), body.get("reason")
        if not all(value is None or isinstance(value, str) for value in (action, text, reason)) or action is None:
            raise MellaError("A decision has the strings action, text and reason.")
        allowed = (*VERDICTS, "skip", UNDO) if self.pairs is None else ("left", "right", "tie", "skip", UNDO)
        if action not in allowed:
            raise MellaError(f"Unknown action {action!r}; choose among {', '.join(allowed)}.")
        if self.pairs is not None and action in ("left", "right"):
            action = CHOICES[(action == "right") != self.pairs[key].swapped(reviewer)]
        decision = Decision(
            sample=item.id, language=item.language, reviewer=reviewer, action=action, shown=self.queue.shown_hash(item),
            text=text if action == "edit" else None, reason=reason if action == "reject" else None,
        )  # fmt: skip
        self.store.add([decision])
        self.queue.follow(self.store)
