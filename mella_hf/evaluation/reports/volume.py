"""Keep the page of a large run small: it holds failures and a sample; the other answers are in files beside it.

A page of 8,000 test images with their thumbnails would be 60 MB and take a browser a quarter of a minute. Browsers that
open a page from a disk read no other file but scripts, so the files are scripts:

    report.answers/index.js   what the page filters, orders and searches by, for every image
    report.answers/0007.js    the cards of `SHARD` images, read when one of them is shown
"""

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from mella_hf.evaluation.reports.records import ShownCard
from mella_hf.files import write_atomic
from mella_hf.html.page import environment

TEMPLATES = Path(__file__).parent / "templates"
LARGEST = 2_000  # images; a page of more shows a part
FAILURES = 400  # images with a failure that it shows at most
SHOWN = 800  # images that it shows; as many open in under a second (benchmarks/report.py)
SHARD = 100  # images a file: about 0.5 MB
SEED = 12345


class LeftOut(TypedDict):
    """The cards that are in files beside the page.

    Attributes:
        folder: of the files.
        total: images, on the page and beside it.
        failures: images with a failure on the page.
        all_failures: the same, on the page and beside it.
    """

    folder: str
    total: int
    failures: int
    all_failures: int


class SharedOut(TypedDict):
    """The cards that a page holds; `rest` is None if these are all."""

    gallery: Sequence[ShownCard]
    rest: LeftOut | None


def share_out(gallery: Sequence[ShownCard], one: bool, out: Path) -> SharedOut:
    """Choose the cards that a page holds, and write the others beside it if there are too many.

    Args:
        gallery: laid-out cards.
        one: whether the page is about one language.
        out: the page; the files go into a folder beside it, which is removed if the page holds all cards.
    """
    folder = out.with_suffix(".answers")
    if (folder / "index.js").is_file():
        shutil.rmtree(folder)
    if len(gallery) <= LARGEST:
        return {"gallery": gallery, "rest": None}
    failed = [at for at, card in enumerate(gallery) if failure(card)]
    draw = random.Random(SEED)
    chosen = set(draw.sample(failed, min(FAILURES, len(failed))))
    others = [at for at in range(len(gallery)) if at not in chosen]
    shown = sorted(chosen | set(draw.sample(others, min(SHOWN - len(chosen), len(others)))))
    write_shards(gallery, one, folder)
    told = len([at for at in shown if failure(gallery[at])])
    rest: LeftOut = {"folder": folder.name, "total": len(gallery), "failures": told, "all_failures": len(failed)}
    return {"gallery": [gallery[at] for at in shown], "rest": rest}


def failure(card: ShownCard) -> bool:
    """Whether an answer on a card is degenerate or makes up names."""
    return bool(card["filters"]["degenerate"] or card["filters"]["made-up"])


def write_shards(gallery: Sequence[ShownCard], one: bool, folder: Path) -> None:
    """Write the index and the cards of all images; the index comes last."""
    answer_card = environment(TEMPLATES).get_template("parts/card.html.j2").module.answer_card
    for start in range(0, len(gallery), SHARD):
        number = start // SHARD
        cards = [str(answer_card(card, one)) for card in gallery[start : start + SHARD]]
        write_atomic(folder / f"{number:04}.js", f"mellaAnswers.cards({number}, {_js(cards)});\n")
    entries = [_entry(card, at // SHARD) for at, card in enumerate(gallery)]
    write_atomic(folder / "index.js", f"mellaAnswers.index({_js(entries)});\n")


def _entry(card: ShownCard, shard: int) -> dict[str, Any]:
    """What a page knows of an image before it reads its card."""
    texts = [card["entity"] or card["id"][:12], card["language"], card["source"], *(card["category"] or ())]
    texts += [card["reference"], *(answer["text"] for answer in card["answers"])]
    filters = card["filters"]
    return {
        "id": card["anchor"],
        "shard": shard,
        "language": card["language"],
        "source": card["source"],
        "seen": {True: "true", False: "false", None: ""}[card["seen"]],
        "rank": filters["rank"],
        "changed": filters["changed"],
        "degenerate": filters["degenerate"],
        "madeUp": filters["made-up"],
        "text": " ".join(texts),
    }


def _js(value: Any) -> str:
    """JSON in ASCII: a script from a disk has no declared encoding, and no text ends it."""
    return json.dumps(value, separators=(",", ":"))
