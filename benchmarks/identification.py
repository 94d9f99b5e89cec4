"""How well identification tells the known languages apart, on native text that no identifier was made with in mind.

    apt-get download unicode-cldr-core && dpkg-deb -x unicode-cldr-core_*.deb cldr
    python benchmarks/identification.py cldr/usr/share/unicode/cldr

The texts are names of pictures in Unicode CLDR, five at a time. For each language: the share of its texts that
`is_language` accepts where the page declares it, and, of all texts whose best label counts as the language and that are
in its script, the share that is its own. Prints a Markdown table.
"""

import argparse
import random
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from mella_hf.languages import all_codes, get_language
from mella_hf.text import lid

TEXTS = 40  # a language
NAMES = 5  # a text
MIN_LETTERS = 4  # of a name


def native_texts(cldr: Path, code: str, draw: random.Random) -> list[str]:
    """Texts of a language: names of pictures, in lists."""
    root = ElementTree.parse(cldr / "common" / "annotations" / f"{code}.xml")
    names = [node.text or "" for node in root.iter("annotation") if node.get("type") == "tts"]
    long_enough = [name for name in names if lid.letter_count(name) >= MIN_LETTERS]
    return [", ".join(draw.sample(long_enough, NAMES)) for _ in range(TEXTS)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cldr", type=Path)
    cldr, draw = parser.parse_args().cldr, random.Random(1)
    languages = [get_language(code) for code in all_codes()]
    taken: dict[str, Counter[str]] = {language.code: Counter() for language in languages}
    accepted = Counter[str]()
    for language in languages:
        for text in native_texts(cldr, language.code, draw):
            accepted[language.code] += lid.is_language(text, language.code, declared=language.code)
            label = lid.identify(text)[0]
            for other in languages:
                named = lid.is_identifiable(other) and label in lid.labels_of(other)
                if named and lid.script_share(text, other.scripts) >= lid.SCRIPT_SHARE:
                    taken[other.code][language.code] += 1
    print("| language | accepted, % | its own, % | taken for it |\n| --- | ---: | ---: | --- |")
    for language in languages:
        code, found = language.code, taken[language.code]
        own = f"{100 * found[code] / found.total():.0f}" if found else "–"
        others = ", ".join(f"{other} {n}" for other, n in found.most_common(4) if other != code)
        print(f"| `{code}` {language.name} | {100 * accepted[code] / TEXTS:.0f} | {own} | {others} |")


if __name__ == "__main__":
    main()
