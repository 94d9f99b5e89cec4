"""Read the Tux Paint stamps with their names, and decide which are used for training and which for tests.

`tuxpaint-stamps-default` (GPL-2) holds drawings and photographs, each with one line of text in some
sixty languages: `NAME.png` (or `.svg`) beside `NAME.txt`, whose first line is English and whose other
lines read `xx.utf8=…`. The package is fetched into the user's cache; nothing of it is in this project.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mella_hf.demo.debian import fetch_package
from mella_hf.errors import MellaError
from mella_hf.files import cache_dir
from mella_hf.know.alt_text import Kept, check_alt_text
from mella_hf.languages.normalize import normalize_text

PACKAGE = "tuxpaint-stamps-default"
LICENSE = "GPL-2"
STAMPS = Path("usr/share/tuxpaint/stamps")  # inside the package
SYMBOLS = "symbols"  # letters, coins and signs are not pictures of things, so they give no samples
ROLE_SEED = 0
KNOW_SHARE = 0.6  # share of the entities; the others are described by templates
UNSEEN_SHARE = 0.12  # share of each role's entities that is kept out of training


@dataclass(frozen=True)
class Stamp:
    """One stamp and what its translators wrote about it.

    Attributes:
        path: relative to the stamps folder, without suffix: "animals/birds/crow".
        category: the folders above it, outermost first: ("animals", "birds").
        english: the English line.
        texts: language code -> native line, as found (`sr` is Cyrillic).
        has_image: whether there is a PNG that may become a sample; stamps under `symbols/` and
            vector stamps are read for their text only.
    """

    path: str
    category: tuple[str, ...]
    english: str
    texts: dict[str, str]
    has_image: bool

    @property
    def entity(self) -> str:
        """The entity on the stamp, from its English line; stamps with the same line show the same entity."""
        return entity_of(self.english)


@dataclass(frozen=True)
class Role:
    """The role of an entity, the same in every language: its source, and whether it is only in the test."""

    source: str
    unseen: bool


def entity_of(english: str) -> str:
    """An English line without case, article and punctuation: "A frog." -> "frog"."""
    words = re.sub(r"[^\w\s'’-]+", " ", normalize_text(english)).split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("a", "an", "the") else words)


def role(entity: str, seed: int = ROLE_SEED) -> Role:
    """The role of an entity, from a hash of its name: the same on every machine, in every language."""
    digest = hashlib.sha256(f"{seed}:{entity}".encode()).digest()
    first, second = (int.from_bytes(digest[i : i + 8], "big") / 2**64 for i in (0, 8))
    return Role("know" if first < KNOW_SHARE else "ling", second < UNSEEN_SHARE)


def fetch_stamps(cache: Path | None = None) -> Path:
    """Return the stamps folder; the first time, fetch it with apt into the user's cache (161 MB, without root).

    Raises:
        MellaError: if apt is missing, its lists are empty, or the download does not match its sha256.
    """
    mend = (
        f"unpack the Debian package {PACKAGE} yourself and pass its stamps folder: "
        f"--source DIR (the folder that ends in {STAMPS})"
    )
    return fetch_package(PACKAGE, (cache or cache_dir()) / "stamps", mend) / STAMPS


def _parse(raw: bytes, counts: Counter[str]) -> tuple[str, dict[str, str]]:
    """The English line and the native lines of a stamp's text file."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        counts["not_utf8"] += 1
        text = raw.decode("utf-8-sig", errors="replace")
    first, *others = text.splitlines() or [""]
    texts: dict[str, str] = {}
    for line in others:
        key, equals, value = line.partition("=")
        code, dot, encoding = key.strip().partition(".")
        if equals and dot and encoding.lower() in ("utf8", "utf-8"):
            if value.strip():
                texts.setdefault(code, value.strip())
        elif line.strip():
            counts["odd_line"] += 1
    return unicodedata.normalize("NFC", first).strip(), texts


def read_stamps(root: Path | str, counts: Counter[str] | None = None) -> list[Stamp]:
    """All stamps under a stamps folder, by path.

    Args:
        root: a stamps folder, or a folder into which the Debian package was unpacked.
        counts: if given, counts of irregularities: "not_utf8", "odd_line", "no_english", "no_picture".

    Raises:
        MellaError: if the folder has no stamps.
    """
    root = stamps_folder(root)
    odd: Counter[str] = Counter() if counts is None else counts
    stamps = []
    for file in sorted(root.rglob("*.txt")):
        english, texts = _parse(file.read_bytes(), odd)
        category = file.relative_to(root).parts[:-1]
        png = file.with_suffix(".png").exists()
        if not english:
            odd["no_english"] += 1
        elif not png and not file.with_suffix(".svg").exists():
            odd["no_picture"] += 1
        else:
            path = file.relative_to(root).with_suffix("").as_posix()
            stamps.append(Stamp(path, category, english, texts, png and SYMBOLS not in category))
    if not any(stamp.has_image for stamp in stamps):
        raise MellaError(f"No stamps under {root}: expected NAME.png beside NAME.txt in folders such as animals/birds.")
    return stamps


def stamps_folder(root: Path | str) -> Path:
    """Find the stamps folder: the given folder, or inside the unpacked package."""
    root = Path(root)
    inside = root / STAMPS
    folder = inside if inside.is_dir() else root
    if not folder.is_dir():
        raise MellaError(f"The stamps folder {root} does not exist; remove --source to fetch {PACKAGE} with apt.")
    return folder


def native_line(stamp: Stamp, language: str) -> str:
    """The stamp's line in a language, as in the package; empty if there is none."""
    return stamp.english if language == "en" else stamp.texts.get(language, "")


def _readable(stamps: Sequence[Stamp], language: str) -> Iterator[tuple[bool, str]]:
    """The usable lines: (whether the entity must not be read, cleaned line)."""
    pictured = {stamp.entity for stamp in stamps if stamp.has_image}
    kept_apart = {entity for entity in pictured if role(entity).source == "know" or role(entity).unseen}
    for stamp in stamps:
        result = check_alt_text(native_line(stamp, language), language)
        if isinstance(result, Kept):
            yield stamp.entity in kept_apart, result.text


def plain_text(stamps: Sequence[Stamp], language: str) -> list[str]:
    """Native lines that a base model may read without images, each once, in the order of the stamps.

    These are lines of vector stamps, of `symbols/` and of stamps that are described by templates. Entities whose name
    is tested or that are kept unseen are left out, and so is every line that equals a line of such an entity.
    """
    lines = list(_readable(stamps, language))
    banned = {entity_of(text) for apart, text in lines if apart}
    return list(dict.fromkeys(text for apart, text in lines if not apart and entity_of(text) not in banned))
