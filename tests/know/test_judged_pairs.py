"""Precision of the whole filter on 501 pairs of real pages, text and picture judged together by a reader."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from manual_pages import page_of, picture

from mella_hf.images.opening import Rejected
from mella_hf.know.alt_text import Kept
from mella_hf.know.filter import is_icon, judge
from mella_hf.know.image_check import ImageSettings, check_image
from mella_hf.know.pages.extract import Candidate, page_candidates
from mella_hf.know.pages.warc import Page
from mella_hf.languages import language_codes
from mella_hf.sample import sha256_hex

PAIRS = [
    json.loads(line) for line in (Path(__file__).parent / "data/judged_pairs.jsonl").read_text("utf-8").splitlines()
]
SETTINGS = ImageSettings(min_side=100, nsfw_threshold=None, find_faces=False)  # many drawings are small


def candidates_of(page: str) -> list[Candidate]:
    return page_candidates(Page(f"http://e.example/{page}", page_of(page), "text/html; charset=utf-8"), Counter())


def is_kept(pair: dict, candidates: list[Candidate]) -> bool:
    """Whether the filter keeps a pair today: its text in its language, and its picture."""
    image = picture(pair["image"]).read_bytes()
    if sha256_hex(image) != pair["sha256"]:
        pytest.skip(f"{pair['image']} is of another version of its package")
    for row in (candidate._asdict() for candidate in candidates if candidate.image_url.endswith("/" + pair["image"])):
        language, verdict = judge(row, language_codes())
        if (
            isinstance(verdict, Kept)
            and (language, verdict.text) == (pair["language"], pair["text"])
            and not is_icon(row)
        ):
            try:
                check_image(image, SETTINGS)
            except Rejected:
                continue
            return True
    return False


def test_precision_of_pairs_by_language():
    pages = {page: candidates_of(page) for page in {pair["page"] for pair in PAIRS}}
    kept: dict[str, Counter[bool]] = defaultdict(Counter)
    for pair in PAIRS:
        if is_kept(pair, pages[pair["page"]]):
            kept[pair["language"]][pair["belongs"]] += 1
    lines = {code: f"{count[True]} of {count.total()} kept belong together" for code, count in sorted(kept.items())}
    print(lines)  # shown with -s
    assert sum(count.total() for count in kept.values()) >= 0.95 * len(PAIRS), lines
    assert all(count[True] >= 0.95 * count.total() for count in kept.values()), lines
