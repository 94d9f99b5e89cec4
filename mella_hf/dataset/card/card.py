"""Write the dataset card `README.md`, with the YAML that lets plain `load_dataset` read the folder.

Every number on the card is computed from the rows, except the drop funnel, which comes from the build.
"""

import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mella_hf import languages
from mella_hf.dataset.card.croissant import CROISSANT, croissant
from mella_hf.dataset.card.facts import SAMPLE, SplitFacts, dataset_facts
from mella_hf.dataset.write import languages_in
from mella_hf.files import template_path, write_atomic
from mella_hf.funnel import Counts
from mella_hf.languages.standing import standing
from mella_hf.sample import FEATURES_DICT, SPLITS

ALL = "all"
EDITED = "README.edited.md"  # a card that people wrote by hand, when a new one took its place
CARD = "card.json"  # what the card says that no row does
FACTS = "facts.json"  # what the card counted, so that a card for more than one folder need not read the rows again
THUMBNAILS = "thumbnails"  # a folder: one picture a language
FUNNEL = "funnel.json"  # beside the languages: what the build kept and dropped, by language and source

# Licence names as samples carry them -> the Hub's identifiers (huggingface.co/docs/hub/repositories-licenses).
_HUB_LICENSES = {
    "GPL-2": "gpl-2.0",
    "GPL-3": "gpl-3.0",
    "CC0-1.0": "cc0-1.0",
    "CC-BY-4.0": "cc-by-4.0",
    "CC-BY-SA-4.0": "cc-by-sa-4.0",
    "CC-BY-SA-3.0": "cc-by-sa-3.0",
    "MIT": "mit",
    "Apache-2.0": "apache-2.0",
}
# The Hub's size classes (huggingface.co/docs/hub/datasets-cards): upper bound, name.
_SIZES = [
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
]


def write_funnel(folder: Path | str, funnel: Mapping[str, Mapping[str, Mapping[str, int]]]) -> None:
    """Keep what a build kept and dropped: language -> source -> {"kept": n, "dropped_<reason>": n}."""
    write_atomic(Path(folder) / FUNNEL, json.dumps(funnel, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def read_funnel(folder: Path | str) -> dict[str, dict[str, dict[str, int]]]:
    """What `write_funnel` kept; empty when the build left none."""
    path = Path(folder) / FUNNEL
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


@dataclass(frozen=True)
class CardText:
    """What the card says that no row does; kept beside the dataset as `card.json`.

    Attributes:
        title: heading and `pretty_name` of the card.
        repo: what the usage snippets load, such as "org/mella".
        origin: Markdown that says where the data came from.
        published: day of the first card, YYYY-MM-DD; set when it is written.
        pictures_compared: whether perceptual hashes were compared between the splits, and not only bytes.
    """

    title: str = "MELLA"
    repo: str = "./mella"
    origin: str = ""
    published: str = ""
    pictures_compared: bool = True


def read_card_text(folder: Path | str) -> CardText:
    """What `write_card` kept, or the defaults."""
    path = Path(folder) / CARD
    return CardText(**json.loads(path.read_text("utf-8"))) if path.exists() else CardText()


def write_card(folder: Path | str, **changes: Any) -> Path:
    """Write `README.md` for the dataset folder, from its rows, its `funnel.json` and its thumbnails.

    A card that was edited by hand is kept as `README.edited.md`.

    Args:
        changes: fields of `CardText` to set; the others stay as the last card had them.

    Raises:
        MellaError: when the folder holds no dataset.
    """
    folder = Path(folder)
    facts = dataset_facts(folder)
    text = replace(read_card_text(folder), **changes)
    pictured = [code for code in languages_in(folder) if (folder / THUMBNAILS / f"{code}.jpg").exists()]
    files = card_files(facts, read_funnel(folder), text, pictured)
    keep_edited_card(folder)
    before = _oid(folder / "README.md") if (folder / "README.md").exists() else None
    # Both cards are ours: a run that is killed here is followed by one that must not take either for a person's.
    write_atomic(folder / FACTS, json.dumps(json.loads(files[FACTS]) | {"before": before}, ensure_ascii=False))
    for name, content in files.items():
        write_atomic(folder / name, content)
    return folder / "README.md"


def is_edited(folder: Path) -> bool:
    """Whether somebody has changed `README.md` since it was last written here."""
    if not (folder / "README.md").exists():
        return False
    if not (folder / FACTS).exists():
        return True
    stated = json.loads((folder / FACTS).read_text("utf-8"))
    return _oid(folder / "README.md") not in (stated["readme"], stated.get("before"))


def keep_edited_card(folder: Path) -> str:
    """Give a card that was edited by hand another name, so that a new one can be written.

    Returns:
        The name; "" when nobody edited the card.
    """
    if not is_edited(folder):
        return ""
    name = edited_name(folder)
    os.replace(folder / "README.md", folder / name)
    return name


def edited_name(folder: Path) -> str:
    """A name for an edited card that the folder does not have yet."""
    names = (EDITED if number == 1 else f"README.edited-{number}.md" for number in itertools.count(1))
    return next(name for name in names if not (folder / name).exists())


def edited_notice(name: str) -> str:
    """What to tell people about a card that was kept under another name."""
    return (
        f"README.md was edited by hand: it is kept as {name}, and a new card was written. Move what you want to keep "
        f"into 'origin' of {CARD}, from which every card is written."
    )


def _oid(path: Path) -> str:
    return git_oid(path.read_bytes())


def card_files(
    facts: list[SplitFacts], funnel: Mapping[str, Any], text: CardText, pictured: Iterable[str] = ()
) -> dict[str, str]:
    """The card and what belongs to it, by name: `README.md`, `card.json`, `facts.json` and `croissant.json`.

    Args:
        pictured: languages that have a picture in `thumbnails/`.
    """
    text = replace(text, published=text.published or datetime.now(UTC).date().isoformat())
    body = render_card(facts, funnel, text, pictured)
    readme = f"---\n{card_metadata(facts, text.title)}---\n\n{body}"
    record = {"readme": git_oid(readme.encode()), "splits": [one.as_json() for one in facts]}
    return {
        "README.md": readme,
        CROISSANT: croissant(
            facts, funnel, title=text.title, repo=text.repo, origin=text.origin, published=text.published
        ),
        FACTS: json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n",
        CARD: json.dumps(asdict(text), ensure_ascii=False, indent=1) + "\n",
    }


def git_oid(data: bytes) -> str:
    """The name of a file's content in git, by which the Hub lists small files."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def expected_configs(rows: Mapping[str, Mapping[str, int]]) -> dict[str, list[dict[str, str]]]:
    """The card's `data_files` by config, from the rows by language and split.

    `know-*`, never `know*`, which would pull `know_test` in.
    """
    found = {code: [split for split in SPLITS if rows[code].get(split)] for code in sorted(rows)}
    found[ALL] = [split for split in SPLITS if any(rows[code].get(split) for code in rows)]
    return {
        code: [{"split": split, "path": f"{'*' if code == ALL else code}/{split}-*"} for split in splits]
        for code, splits in found.items()
    }


def card_metadata(facts: list[SplitFacts], title: str) -> str:
    """The card's YAML: `configs`, `dataset_info`, licence, languages, sizes and tasks."""
    import yaml

    codes = sorted({one.language for one in facts})
    licenses = {name for one in facts for name in one.licenses}
    rows = sum(one.rows for one in facts)
    configs = expected_configs({c: {one.split: one.rows for one in facts if one.language == c} for c in codes})
    metadata = {
        "language": codes,
        "license": _HUB_LICENSES.get(next(iter(licenses)), "other") if len(licenses) == 1 else "other",
        "pretty_name": title,
        "multilinguality": ["multilingual" if len(codes) > 1 else "monolingual"],
        "task_categories": ["image-to-text", "visual-question-answering"],
        "size_categories": [next((name for bound, name in _SIZES if rows < bound), "n>100M")],
        "tags": ["mella", "low-resource-languages", "image-captioning", "alt-text"],
        "dataset_info": [_dataset_info(code, facts) for code in [*codes, ALL]],
        "configs": [{"config_name": code, "data_files": files} for code, files in configs.items()],
    }
    return yaml.safe_dump(metadata, allow_unicode=True, sort_keys=False, width=120)


def render_card(
    facts: list[SplitFacts], funnel: Mapping[str, Any], text: CardText, pictured: Iterable[str] = ()
) -> str:
    """The card's text, from the template `dataset_card.md.j2`."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.filters["cell"] = lambda value: " ".join(str(value).replace("|", "\\|").split())
    template = environment.from_string(template_path("dataset_card.md.j2").read_text("utf-8"))
    codes = sorted({one.language for one in facts})
    return template.render(
        **asdict(text),
        thumbnails={code: f"{THUMBNAILS}/{code}.jpg" for code in pictured},
        first=codes[0],
        languages=[(code, language_name(code)) for code in codes],
        standings=[(code, standing(languages.get_language(code)).sentence) for code in codes if is_known(code)],
        splits=[split for split in SPLITS if any(one.split == split for one in facts)],
        facts={(one.language, one.split): one for one in facts},
        totals=_total({one.split: one.rows} for one in facts),
        tokenizers={one.language: one.tokenizer for one in facts},
        sampled=SAMPLE,
        rows=sum(one.rows for one in facts),
        size=sum(one.files_bytes for one in facts),
        licenses=_total(one.licenses for one in facts).most_common(),
        domains=_total(one.domains for one in facts).most_common(20),
        makers=_total(one.makers for one in facts).most_common(20),
        funnel=[
            (code, source, parts.kept, list(parts.dropped.items()))
            for code, by in sorted(funnel.items())  # in one order, whichever folder was published first
            for source, parts in ((source, Counts.of(counts)) for source, counts in sorted(by.items()))
        ],
    )


def language_name(code: str) -> str:
    """English name of a language, or its code when it has no entry."""
    return languages.get_language(code).name if is_known(code) else code


def is_known(code: str) -> bool:
    """Whether a code has an entry here: data may come from a machine that knows other languages."""
    return code in languages.all_codes()


def _dataset_info(code: str, facts: list[SplitFacts]) -> dict[str, Any]:
    """Features and sizes of a config, in the words in which datasets reads them from cards."""
    chosen = [one for one in facts if code in (ALL, one.language)]
    splits = []
    for split in _splits(code, facts):
        there = [one for one in chosen if one.split == split]
        size = sum(one.image_bytes + sum(n * count for n, count in one.characters.items()) for one in there)
        splits.append({"name": split, "num_bytes": size, "num_examples": sum(one.rows for one in there)})
    return {
        "config_name": code,
        "features": [_feature(name, kind) for name, kind in FEATURES_DICT.items()],
        "splits": splits,
        "download_size": sum(one.files_bytes for one in chosen),
        "dataset_size": sum(split["num_bytes"] for split in splits),
    }


def _feature(name: str, kind: Mapping[str, Any]) -> dict[str, str]:
    if kind["_type"] == "Image":
        return {"name": name, "dtype": "image"}
    if "feature" in kind:
        return {"name": name, "sequence": kind["feature"]["dtype"]}
    return {"name": name, "dtype": kind["dtype"]}


def _splits(code: str, facts: list[SplitFacts]) -> list[str]:
    return [split for split in SPLITS if any(one.split == split and code in (ALL, one.language) for one in facts)]


def _total(counters: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total
