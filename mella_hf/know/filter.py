"""Filter candidates: keep alt-texts with their language; reject the others with a reason.

All candidates of a site are read together, because a text that a site repeats is navigation, not a caption. The
language of an alt-text is decided from two sources: the text and the page around it. Neither is enough: short texts
look like several languages, and many pages declare the language of their template.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from mella_hf.errors import MellaError
from mella_hf.know.alt_text import Dropped, Kept, check_alt_text
from mella_hf.know.optouts import opt_outs
from mella_hf.know.records import ALT_TEXTS, ROWS, bucket_of, host_of
from mella_hf.know.rows import RowFailed, one_row
from mella_hf.languages import get_language, known_languages, language_codes, languages_state
from mella_hf.languages.sources import canonical_code
from mella_hf.stage import Shard, ShardOutput
from mella_hf.text.identifiers import identifier, identifier_name
from mella_hf.text.lid import (
    LONG,
    SCRIPT_SHARE,
    excerpt,
    foreign_log_odds,
    identify,
    in_own_script,
    is_identifiable,
    is_language,
    labels_of,
    letter_count,
    script_share,
)

MAX_PAGES = 10  # COYO-700M drops texts that occur more than ten times (kakaobrain/coyo-dataset, "Filtering")
MIN_DECLARED_SIDE = 75  # px, half of OBELICS' least side: pages show images at half size for dense screens
ENGLISH_LETTERS = 8  # below, Con nai and A dog look alike
_ENGLISH = frozenset({"the", "of", "and", "with", "from"})  # words of no other of the languages, without diacritics
# OBELICS leaves out images whose URL has one of these words (Laurençon et al. 2023, appendix A.1.4).
_ICON_URL = re.compile(r"(?<![a-z])(?:logo|button|icon|plugin|widget)s?(?![a-z])", re.IGNORECASE)
_NEARNESS = ("wrong_script", "wrong_language")
REASONS = ("page_opt_out", "repeated_on_site", "icon", "seen_before")


@dataclass(frozen=True)
class FilterSettings:
    """What the filter goes by.

    Attributes:
        languages: codes to keep.
        honour_opt_outs: drop images of pages that opt out (docs/opt_outs.md); else they are counted.
        ignored_opt_outs: names of single opt-outs (`optouts.SIGNALS`) that are only counted.
        max_pages: pages of one site on which a text may occur.
        min_declared_side: least pixels, where a page declares both sides of an image.
        identifier: the language identifier in use; alt-texts are filtered again when it changes.
    """

    languages: tuple[str, ...]
    honour_opt_outs: bool = True
    ignored_opt_outs: tuple[str, ...] = ()
    max_pages: int = MAX_PAGES
    min_declared_side: int = MIN_DECLARED_SIDE
    identifier: str = field(default_factory=identifier_name)

    def __post_init__(self) -> None:
        if not self.languages:
            raise MellaError(f"No language is named; give some of {', '.join(language_codes())}.")


def filter_bucket(shard: Shard, output: ShardOutput, *, settings: FilterSettings) -> None:
    """Write the alt-texts of one bucket of sites; `shard.payload` has "bucket" and "inputs", Parquet of CANDIDATES."""
    inputs = [path for path, *_ in shard.payload["inputs"]]
    table = ds.dataset(inputs).to_table(filter=pc.field("bucket") == shard.payload["bucket"])
    rows = table.drop_columns("bucket").sort_by([(name, "ascending") for name in ("site", "page_url", "position")])
    kept = list(filter_rows(rows.to_pylist(), output, settings))
    kept.sort(key=lambda row: row["bucket"])
    output.keep(len(kept))
    pq.write_table(pa.Table.from_pylist(kept, schema=ALT_TEXTS), output.folder / ROWS, compression="ZSTD")


def filter_rows(
    rows: Sequence[dict[str, Any]], output: ShardOutput, settings: FilterSettings
) -> Iterator[dict[str, Any]]:
    """The candidates that stay, as rows of ALT_TEXTS; `rows` holds whole sites."""
    pages = Counter(key for key, _ in {((r["site"], _key(r["alt"])), r["page_url"]) for r in rows})
    seen: set[tuple[str, str]] = set()
    for row in rows:
        try:
            with one_row("alt_text"):
                language, verdict = judge(row, settings.languages)
        except RowFailed as error:
            language, verdict = None, Dropped(error.reason)
        signals = opt_outs(row["robots"])
        honoured = [s for s in signals if settings.honour_opt_outs and s not in settings.ignored_opt_outs]
        output.counts.update(f"opt_out_{signal}" for signal in signals)
        if honoured:
            verdict = Dropped("page_opt_out")
        elif isinstance(verdict, Kept):
            if pages[row["site"], _key(row["alt"])] > settings.max_pages:
                verdict = Dropped("repeated_on_site")
            elif is_icon(row, settings.min_declared_side):
                verdict = Dropped("icon")
            elif (row["image_url"], verdict.text) in seen:
                verdict = Dropped("seen_before")
        if isinstance(verdict, Dropped):
            where = {name: row[name] for name in ("page_url", "image_url", "alt")}
            output.drop(verdict.reason, language=language, **where)
            continue
        output.counts["overridden_opt_out"] += bool(signals)
        seen.add((row["image_url"], verdict.text))
        bucket = bucket_of(host_of(row["image_url"]))
        yield {**row, "text": verdict.text, "language": language, "bucket": bucket}


def judge(row: Mapping[str, Any], languages: Sequence[str]) -> tuple[str | None, Kept | Dropped]:
    """(language, verdict) of one candidate by itself; the language of a drop is what the page declares, if asked for.

    The declared language is tried first. Where the page declares none, several languages may have written a short text:
    the one that the text and the words around it are likeliest in has it.
    """
    declared = declared_language(row["page_language"], row["site"])
    order = sorted(languages, key=lambda code: code != declared)
    reasons, kept = [], {}
    for code in order:
        verdict = check_alt_text(row["alt"], code)
        if isinstance(verdict, Dropped):
            if verdict.reason not in ("wrong_script", "wrong_language"):
                return declared if declared in languages else None, verdict
            reasons.append(verdict.reason)
        elif agrees(verdict.text, code, declared, context_of(row)):
            if code == declared or letter_count(verdict.text) >= LONG:
                return code, verdict
            kept[code] = verdict
        else:
            reasons.append("wrong_language")
    if kept:
        code = next(iter(kept)) if len(kept) == 1 else likeliest(f"{row['alt']} {context_of(row)}", kept)
        return code, kept[code]
    # Of the declared language, which came first; of an undeclared one, how near the text came to any.
    known = declared in languages
    return declared if known else None, Dropped(reasons[0] if known else max(reasons, key=_NEARNESS.index))


def likeliest(text: str, codes: Iterable[str]) -> str:
    """The language of `codes` that a text is most probably in; the first of equals."""
    ranked = identifier().rank(text)
    return max(codes, key=lambda code: sum(ranked.get(label, 0.0) for label in labels_of(get_language(code))))


def declared_language(page_language: str | None, site: str) -> str | None:
    """The language that a page declares, as our code; without a tag, the language of its top-level domain."""
    tags, domains = _declarations(languages_state())
    if page_language is None:
        return domains.get(site.rpartition(".")[2])
    code = page_language.partition("-")[0].lower()
    return tags.get(code) or canonical_code(code)


@lru_cache(maxsize=1)
def _declarations(state: object) -> tuple[dict[str, str], dict[str, str]]:
    """(tag, code) and (domain, code) of all languages."""
    languages = known_languages()
    tags = {tag: language.code for language in languages for tag in language.declared_as}
    domains = {domain: language.code for language in languages for domain in language.domains}
    return tags | {language.code: language.code for language in languages}, domains


def context_of(row: Mapping[str, Any]) -> str:
    """The words around an image that tell its page's language."""
    parts = (row["figcaption"], row["heading"], row["title"], row["page_title"])
    return excerpt(" ".join(part for part in parts if part))


def agrees(text: str, code: str, declared: str | None, context: str) -> bool:
    """Whether the page bears out that an alt-text, which by itself may be in a language, is.

    A long text bears itself out, except Serbian in Latin script, which is told from Croatian by the page alone: where a
    language has two scripts, texts in Latin letters, if these are not its usual ones, must be declared. Two or
    more plain ASCII words that read as English are English, which half-translated pages are full of. A short
    text needs a page that declares the language or is written in it; one that declares another language counts
    only against texts that several languages could have written.
    """
    latin = script_share(text, ("Latn",)) > SCRIPT_SHARE
    language = get_language(code)
    if declared != code and latin and "Latn" in language.scripts[1:]:
        return False
    if not is_identifiable(language) and not in_own_script(text, language):
        return declared == code and not reads_as_english(text, code)
    if letter_count(text) >= LONG or in_own_script(text, language):
        return True
    if reads_as_english(text, code):
        return False
    accepted = labels_of(language)
    around = identify(context)[0] in accepted if letter_count(context) >= LONG else None
    if around is None and latin and script_share(context, ("Latn",)) < SCRIPT_SHARE:
        around = False  # Latin letters are what a page of another script quotes; the reverse is not a quotation
    if declared == code:
        return around is not False or is_language(text, code, declared=declared)
    if declared is not None:
        return False
    return around is True or (around is None and is_language(text, code))


def reads_as_english(text: str, code: str) -> bool:
    """Whether two or more words without a single native letter are likelier English than `code`.

    Of the English names of Unicode CLDR that pass for Czech, Hungarian or Vietnamese it catches 90-98%, and it costs
    0.4% of the native ones at most (500 names a language). A word that only English has decides.
    """
    if not text.isascii() or " " not in text or letter_count(text) < ENGLISH_LETTERS:
        return False
    if not _ENGLISH.isdisjoint(text.lower().split()):
        return True
    return foreign_log_odds(text, code, against="en") > 0


def is_icon(row: Mapping[str, Any], min_side: int = MIN_DECLARED_SIDE) -> bool:
    """Whether a page shows an image too small for a picture, or its URL calls it a logo, button or icon."""
    width, height = row["declared_width"], row["declared_height"]
    if width is not None and height is not None and max(width, height) < min_side:
        return True
    return _ICON_URL.search(urlsplit(row["image_url"]).path) is not None


def _key(alt: str) -> str:
    return " ".join(alt.casefold().split())
