"""Make the records of one language and split from rendered views, in a fixed order."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mella_hf.demo.stamps.descriptions import describe
from mella_hf.demo.stamps.measures import Measures
from mella_hf.demo.stamps.rendered import FIRST_TEST_VIEW, read_views, render_stage
from mella_hf.demo.stamps.stamps import LICENSE, Stamp, entity_of, native_line, role
from mella_hf.demo.stamps.views import SIDE
from mella_hf.errors import MellaError
from mella_hf.know.alt_text import Dropped, check_alt_text, clean_alt_text
from mella_hf.languages import get_language
from mella_hf.sample import SPLITS, make_sample, utc
from mella_hf.stage import ShardOutput

__all__ = ["keywords_of", "read_views", "render_stage", "rows"]

# Test images of trained and of unseen entities; the paper tests on 100 to 150 per language.
TEST_CAPS = {"know": (70, 30), "ling": (42, 18)}
COLLECTED = utc(2022, 6, 4)  # release of the package
MAX_KEYWORD_WORDS = 4  # a name with at most so many words is one keyword; a sentence has several
MAX_WORD_CHARACTERS = 30  # Thai writes a sentence as one word
_SYLLABLES_APART = frozenset({"vi"})  # languages with spaces between syllables, about two per word
# The text after it explains the name.
_EXPLANATION = re.compile(r"\s[-–—]++\s|—|(?<!\s)\s*+[(:;]\s*+|(?<![.!?])[.!?]++\s")


def keywords_of(text: str, language: str) -> list[str]:
    """The keywords of a line: a short name, or the name before an explanation, or the keywords of a sentence.

    "Merkur - planeta, která je nejblíž ke Slunci." explains the name "Merkur".
    """
    name = _EXPLANATION.split(text, maxsplit=1)[0].rstrip(".!?؟ ")
    words = len(name.split()) / (2 if language in _SYLLABLES_APART else 1)
    if name and words <= MAX_KEYWORD_WORDS and max(map(len, name.split())) <= MAX_WORD_CHARACTERS:
        return [name]
    from mella_hf.metrics.keywords import extract_keywords

    return extract_keywords(text, language)


def _train_lines(stamps: Sequence[Stamp], language: str) -> set[str]:
    """All training lines in this language, without case and punctuation."""
    trained = [s for s in stamps if s.has_image and role(s.entity).source == "know" and not role(s.entity).unseen]
    return {entity_of(clean_alt_text(native_line(stamp, language))) for stamp in trained}


def rows(
    rendered: Path | str, stamps: Sequence[Stamp], language: str, split: str, output: ShardOutput | None = None
) -> Iterator[dict[str, Any]]:
    """The records of one language and split, in a fixed order.

    Args:
        rendered: the `out` of `render_stage`.
        stamps: as `read_stamps` returns them.
        split: `know`, `ling`, `know_test` or `ling_test`.
        output: if given, its `drop` receives each dropped view with the reason:
            "missing_text", "untranslated" (same as the English line), those of `check_alt_text`,
            "duplicate" (same bytes as an earlier row), "text_in_train" (an unseen entity whose name
            in this language is the name of a trained one), "over_cap" (the test split is full).
            The caller counts the kept rows.

    Raises:
        MellaError: for an unknown split or language, or if nothing is rendered.
    """
    if split not in SPLITS:
        raise MellaError(f"Unknown split {split!r}; choose one of {', '.join(SPLITS)}.")
    get_language(language)  # otherwise an unknown language would only be missing in every text
    source, _, test = split.partition("_")
    views = [v for v in read_views(Path(rendered) / (test or "train")).to_pylist() if v["source"] == source]
    by_path = {stamp.path: stamp for stamp in stamps}
    accept = _Admission(source, bool(test), _train_lines(stamps, language))
    for view in sorted(views, key=_test_order) if test else views:
        made = (_know if source == "know" else _ling)(view, by_path[view["stamp"]], language)
        result = made if isinstance(made, Dropped) else accept.check(made, view["unseen"])
        if not isinstance(result, Dropped):
            yield result
        elif output is not None:
            what = {"stamp": view["stamp"], "view": view["view"], "language": language, "split": split}
            output.drop(result.reason, **what)


class _Admission:
    """Decides which records enter a split, given those already in it."""

    def __init__(self, source: str, test: bool, train_lines: set[str]):
        self.caps = TEST_CAPS[source] if test else None
        self.train_lines = train_lines if source == "know" and test else set()
        self.taken = [0, 0]  # of seen entities, of unseen ones
        self.ids: set[str] = set()

    def check(self, record: dict[str, Any], unseen: bool) -> dict[str, Any] | Dropped:
        """The record, or the reason to drop it."""
        if record["id"] in self.ids:
            return Dropped("duplicate")
        if unseen and entity_of(record["text"]) in self.train_lines:
            return Dropped("text_in_train")
        if self.caps is not None and self.taken[unseen] >= self.caps[unseen]:
            return Dropped("over_cap")
        self.taken[unseen] += 1
        self.ids.add(record["id"])
        return record


def _test_order(view: dict[str, Any]) -> tuple[int, str]:
    """The order of test views: first one view of every stamp, then the second ones; stamps by hash."""
    first = view["view"] in (0, FIRST_TEST_VIEW)
    return (0 if first else 1, hashlib.sha256(view["stamp"].encode()).hexdigest())


def _record(view: dict[str, Any], stamp: Stamp, language: str, **columns: Any) -> dict[str, Any]:
    return make_sample(
        image=view["jpeg"],
        language=language,
        source=view["source"],
        width=SIDE,
        height=SIDE,
        category=list(stamp.category),
        entity=stamp.entity,
        license=LICENSE,
        collected_at=COLLECTED,
        **columns,
    )


def _know(view: dict[str, Any], stamp: Stamp, language: str) -> dict[str, Any] | Dropped:
    raw = native_line(stamp, language)
    if not raw:
        return Dropped("missing_text")
    if entity_of(raw) == stamp.entity:
        return Dropped("untranslated")
    result = check_alt_text(raw, language)
    if isinstance(result, Dropped):
        return result
    return _record(view, stamp, language, text=result.text, keywords=keywords_of(result.text, language))


def _ling(view: dict[str, Any], stamp: Stamp, language: str) -> dict[str, Any]:
    measures = Measures(**json.loads(view["measures"]))
    text, english = (describe(measures, code, seed=stamp.path) for code in (language, "en"))
    columns = {"caption_en": english, "captioner": "template", "translator": "template"}
    return _record(view, stamp, language, text=text, **columns)
