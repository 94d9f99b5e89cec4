"""Draft the TOML file of a new language, and list what a speaker must confirm."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from mella_hf.errors import MellaError
from mella_hf.languages.entries import ENGLISH, NORMALIZERS, make_entry, read_entry, shipped_facts
from mella_hf.languages.language import Language
from mella_hf.languages.registry import check_labels, get_language, language_codes
from mella_hf.languages.sources import cldr_facts

Translate = Callable[[Sequence[str]], list[str]]

_UNSURE = """\
# A draft. Confirm with speakers of the language, then delete this comment:
# - the twenty prompts below{drafted}; the first of each kind is the test prompt. Set `by = "speaker"` when
#   speakers have written or corrected them;
# - the name, if the language is a family: choose the variety;
# - `normalizer`: spellings that readers take for one word (choose from {normalizers});
# - `letters`: the letters of the language beyond a-z, and `siblings`: labels of languages that short texts look like;
# - `boilerplate`: words for "image", "photo", "logo", "read more", which describe no picture;
# - where names have capitals, a table `[naming]`: words for places (bridge, square) and endings of adjectives that
#   keep their names whole, and what else docs/new_language.md lists.
"""


def draft_entry(code: str, *, name: str = "", script: str = "", translate: Translate | None = None) -> str:
    """The draft of a language's file, which `check_entry` accepts once it is written.

    Args:
        code: ISO 639 code.
        name: English name, where Unicode CLDR does not know the language.
        script: ISO 15924 code of its usual script, where CLDR does not know it.
        translate: English texts -> texts in the language, for the prompts; they stay English without it.

    Raises:
        MellaError: the code has an entry by speakers, or CLDR does not know what is not given.
    """
    if code in language_codes():
        raise MellaError(f"{code!r} has an entry already; `mella languages {code}` shows it.")
    said = _facts(code, name, script)
    entry = make_entry(code, shipped_facts(code) | said, f"the draft of {code!r}")
    english = get_language(ENGLISH)
    turns = {source: list(english.prompts(source)) for source in ("know", "ling")}
    if translate is not None:
        turns = {source: translate(texts) for source, texts in turns.items()}
    return _text(entry, said, turns, "english" if translate is None else "draft")


def check_entry(path: Path) -> Language:
    """The entry of a file, checked as `register` checks it. Raises MellaError with what must be mended."""
    entry = read_entry(path)
    check_labels(entry)
    return entry


def _facts(code: str, name: str, script: str) -> dict[str, object]:
    """What the file must say because CLDR does not, or because the user says otherwise."""
    known = cldr_facts(code)
    missing = [
        option
        for option, given, key in (("--name", name, "name"), ("--script", script, "scripts"))
        if not given and key not in known
    ]
    if missing:
        raise MellaError(
            f"Unicode CLDR does not know {code!r}; add {' and '.join(missing)}, such as --name Quechua --script Latn."
        )
    said: dict[str, object] = {}
    if name:
        said["name"] = name
    if "native_name" not in known:
        said["native_name"] = name or known["name"]
    if script:
        said["scripts"] = [script]
    return said


def _text(entry: Language, said: dict[str, object], turns: dict[str, list[str]], by: str) -> str:
    drafted = ", which a machine translated" if by == "draft" else ", which are English"
    lines = [_UNSURE.format(drafted=drafted, normalizers=", ".join(sorted(NORMALIZERS)))]
    lines += [f"{key} = {_toml(value)}" for key, value in said.items()]
    lines += [
        f"normalizer = {_toml(entry.normalizer.__name__.removeprefix('normalize_'))}",
        f"tokenizer = {_toml(entry.tokenizer)}",
        f"identified_as = {_toml(sorted(entry.lid))}  # labels of the language identifier; empty: it has none",
        f"siblings = {_toml(sorted(entry.siblings))}",
        f"letters = {_toml(entry.letters)}",
        f"boilerplate = {_toml(list(entry.boilerplate))}",
        "",
        "[prompts]",
        f"by = {_toml(by)}",
    ]
    for source, texts in turns.items():
        lines += [f"{source} = [", *(f"    {_toml(text)}," for text in texts), "]"]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A text or a list of texts as TOML, whose basic strings are JSON's but for the slash and DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
