"""A dataset at a glance: rows, hours of reading, tokens, licences, domains, keywords and images.

info = dataset_info("outputs/demo/mella")
print(info)        # a table; in a notebook, `info` alone shows the images too
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from mella_hf.dataset.card.card import CARD, FACTS, FUNNEL, THUMBNAILS, CardText, language_name
from mella_hf.dataset.card.facts import SplitFacts, dataset_facts, read_facts
from mella_hf.dataset.files import REPO, HubFiles, NoDatasetError, split_paths
from mella_hf.dataset.removal.remove import finish_removal
from mella_hf.dataset.removal.requests import REMOVALS, parse_records
from mella_hf.dataset.thumbnails import thumbnails
from mella_hf.errors import MellaError
from mella_hf.funnel import Counts
from mella_hf.html.notebook import html_table, text_table
from mella_hf.sample import SPLITS

# Characters a minute in silent reading: the mean over 17 languages (Trauzettel-Klosinski and Dietz 2012, IReST,
# doi:10.1167/iovs.11-8284).
READING_SPEED = 863
_SHOWN = 8  # names a line
# Between Unicode's isolates: else the count after an Arabic name would be read as the next name's.
_ISOLATED = "\u2068{}\u2069 {:,}"


@dataclass(frozen=True)
class DatasetInfo:
    """What a dataset folder or a published repo holds.

    Attributes:
        where: the folder, or the repo's name.
        text: title and origin, as the card has them.
        splits: the facts of each split.
        funnel: language -> source -> what the build kept and dropped.
        removals: how many requests to take samples away are on record.
        pictures: language -> a JPEG of some of its images.
    """

    where: str
    text: CardText
    splits: tuple[SplitFacts, ...]
    funnel: Mapping[str, Any] = field(default_factory=dict, repr=False)
    removals: int = 0
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def languages(self) -> list[str]:
        """The codes of the languages."""
        return sorted({one.language for one in self.splits})

    @property
    def rows(self) -> int:
        """How many image-text pairs there are."""
        return sum(one.rows for one in self.splits)

    @property
    def images_bytes(self) -> int:
        """Bytes of all images."""
        return sum(one.image_bytes for one in self.splits)

    def hours(self, language: str | None = None) -> float:
        """Hours that reading the texts takes, of one language or of all."""
        characters = sum(n * count for one in self._of(language) for n, count in one.characters.items())
        return characters / READING_SPEED / 60

    def tokens(self, language: str | None = None) -> int | None:
        """Tokens of the texts, projected from the sampled ones; None where a tokenizer is missing."""
        chosen = self._of(language)
        return round(sum(one.rows * one.tokens[2] for one in chosen)) if all(one.tokens for one in chosen) else None

    def counts(self, name: str) -> Counter[str]:
        """Rows by `licenses`, `domains`, `makers` or `keywords`, over all splits."""
        return sum((getattr(one, name) for one in self.splits), Counter[str]())

    @property
    def collected(self) -> tuple[str, str]:
        """First and last day of collection, or "" twice."""
        days = [day for one in self.splits for day in one.collected if day]
        return (min(days), max(days)) if days else ("", "")

    def to_json(self) -> dict[str, Any]:
        """The numbers, for programs."""
        return {
            "where": self.where,
            "title": self.text.title,
            "rows": self.rows,
            "images_bytes": self.images_bytes,
            "hours": round(self.hours(), 2),
            "tokens": self.tokens(),
            "removals": self.removals,
            "collected": self.collected,
            "licenses": dict(self.counts("licenses").most_common()),
            "domains": dict(self.counts("domains").most_common()),
            "keywords": dict(self.counts("keywords").most_common(100)),
            "made_by": dict(self.counts("makers").most_common()),
            "left_out": self.funnel,
            "splits": {
                one.place: {"rows": one.rows, "shards": one.shards, "tokens": one.tokens} for one in self.splits
            },
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """(head, one line a language) of rows, tokens and hours."""
        there = [split for split in SPLITS if any(one.split == split for one in self.splits)]
        lines = []
        for code in self.languages:
            rows = {one.split: one.rows for one in self._of(code)}
            cells = [f"{rows[split]:,}" if split in rows else "-" for split in there]
            lines.append(
                [f"{code} {language_name(code)}", *cells, _tokens(self.tokens(code)), f"{self.hours(code):,.1f}"]
            )
        return ["language", *there, "tokens", "hours"], lines

    def notes(self, counted: str = "{} {:,}") -> list[tuple[str, str]]:
        """(name, value) of what stands below the table; `counted` is how a name and its count are written."""
        first, last = self.collected
        lost = Counter[str]()
        for counts in (counts for sources in self.funnel.values() for counts in sources.values()):
            lost.update(Counts.of(counts).dropped)
        domains = self.counts("domains")
        notes = [
            ("licences", _names(self.counts("licenses"), counted)),
            (f"domains ({len(domains):,})", _names(domains, counted)),
            ("keywords", _names(self.counts("keywords"), counted)),
            ("made by", _names(self.counts("makers"), counted)),
            ("collected", first if first == last else f"{first} to {last}"),
            ("left out", _names(lost, counted)),
            ("removed on request", f"{self.removals:,} requests" if self.removals else ""),
        ]
        return [(name, value) for name, value in notes if value]

    def headline(self) -> str:
        """One line with the most important numbers."""
        images = f"{self.images_bytes / 1e6:,.1f} MB of images"
        reading = f"about {self.hours():,.1f} hours of reading, {_tokens(self.tokens())} tokens"
        return f"{self.rows:,} image-text pairs in {len(self.languages)} languages, {images}; {reading}"

    def __str__(self) -> str:
        notes = [f"{name}: {value}" for name, value in self.notes()]
        head = f"{self.text.title} ({self.where})"
        return "\n".join([head, self.headline(), "", text_table(*self.table()), "", *notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = html_table(f"{self.text.title}: {self.headline()}", *self.table())
        notes = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in self.notes(_ISOLATED))
        return f"{table}{''.join(_picture(code, data) for code, data in self.pictures.items())}<dl>{notes}</dl>"

    def _of(self, language: str | None) -> list[SplitFacts]:
        return [one for one in self.splits if language in (None, one.language)]


def dataset_info(where: Path | str, *, endpoint: str | None = None, token: str | None = None) -> DatasetInfo:
    """What a dataset folder or a Hub repo ("org/name") holds. For a repo, the numbers come from its card.

    Raises:
        MellaError: when there is no dataset, or the repo cannot be read.
    """
    folder = Path(where)
    if folder.is_dir():
        finish_removal(folder)
        read = {name: (folder / name).read_bytes() for name in (CARD, FUNNEL, REMOVALS) if (folder / name).exists()}
        pictures = thumbnails(folder)
        facts = dataset_facts(folder)
    elif not folder.exists() and REPO.fullmatch(str(where)):
        hub = HubFiles(str(where), endpoint=endpoint, token=token)
        names = hub.files()
        wanted = [
            name for name in names if name in (CARD, FUNNEL, REMOVALS, FACTS) or name.startswith(f"{THUMBNAILS}/")
        ]
        with hub.reading():
            read = {name: hub.read(name) for name in wanted}
            facts = _published_facts(hub, names, read)
        pictures = {name: data for name, data in read.items() if name.startswith(f"{THUMBNAILS}/")}
    else:
        raise MellaError(
            f"{str(where)!r} is neither a folder nor a dataset repo; give ORGANISATION/NAME, such as org/mella."
        )
    text = CardText(**json.loads(read[CARD])) if CARD in read else CardText()
    records = parse_records(read[REMOVALS].decode("utf-8")) if REMOVALS in read else []
    funnel = json.loads(read[FUNNEL]) if FUNNEL in read else {}
    jpegs = {Path(name).stem: data for name, data in sorted(pictures.items())}
    return DatasetInfo(str(where), text, tuple(facts), funnel, len(records), jpegs)


def _published_facts(hub: HubFiles, names: Iterable[str], read: Mapping[str, bytes]) -> list[SplitFacts]:
    """The facts that a repo states; from its rows where it states none."""
    if FACTS in read:
        return [SplitFacts.of_json(one) for one in json.loads(read[FACTS])["splits"]]
    places = split_paths(names)
    if not places:
        raise NoDatasetError(hub.repo)
    facts = []
    for place, paths in places.items():
        language, _, split = place.partition("/")
        facts.append(read_facts(language, split, ((path.rpartition("/")[2], 0, hub.open(path)) for path in paths)))
    return facts


def _names(counts: Counter[str], counted: str) -> str:
    rest = len(counts) - _SHOWN
    shown = ", ".join(counted.format(name, rows) for name, rows in counts.most_common(_SHOWN))
    return f"{shown}, and {rest:,} more" if rest > 0 else shown


def _tokens(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _picture(code: str, data: bytes) -> str:
    source = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    alt = escape(f"Some of the training images in {language_name(code)}", quote=True)
    return f'<p><img alt="{alt}" style="max-width:100%" src="{source}"></p>'
