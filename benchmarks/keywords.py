"""How well names are found in alt-texts: precision and recall on hand-checked ones, of two kinds.

    python benchmarks/keywords.py [--json] [--show]

`gold`: 240 captions of drawings, thirty a language, which the rules were made with (tests/metrics/data/README.md says
whose). `held out`: alt-texts of Debian's translated manuals (and further Arabic captions), which they were not. The
manuals of Hungarian, Korean and Serbian name nothing, and Thai has none.

A found keyword is right when it shares a word (stem) with a hand-marked one that is not taken yet; Korean and Thai,
which write without spaces between them, when one contains the other. Bars: precision and recall of
at least 0.6 over all languages and in Arabic, the hardest, on both. Exit status 1 when one is missed.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

DATA = Path(__file__).parent.parent / "tests/metrics/data"
SETS = {"gold": "keywords_gold.jsonl", "held out": "keywords_heldout.jsonl"}
BAR = 0.6


def same(found: str, wanted: str, language: str) -> bool:
    """Whether a found keyword names what a hand-marked one names."""
    from mella_hf.languages import get_language
    from mella_hf.text.tokens import analyze, arabic_bases, stem_words

    entry = get_language(language)
    if entry.tokenizer != "words":
        a, b = (entry.normalizer(text).replace(" ", "") for text in (found, wanted))
        return a in b or b in a
    stems = []
    for text in (found, wanted):
        words = analyze(text, entry).words
        if entry.stemmer == "arabic":
            words = [base for word in words for base in arabic_bases(word)]
        stems.append(set(stem_words(words, entry.stemmer)))
    return not stems[0].isdisjoint(stems[1])


def measure(name: str, show: bool = False) -> dict[str, dict[str, float | None]]:
    """Precision and recall by language, and over all, of one of the sets; None where there is nothing to find."""
    from mella_hf.metrics import extract_keywords

    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])  # texts, right, found, wanted
    for line in (DATA / SETS[name]).read_text("utf-8").splitlines():
        row = json.loads(line)
        found = extract_keywords(row["text"], row["language"])
        left = list(row["keywords"])
        right = 0
        for keyword in found:
            hit = next((want for want in left if same(keyword, want, row["language"])), None)
            if hit is not None:
                left.remove(hit)
                right += 1
        if show and (left or right < len(found)):
            print(row["language"], row["text"], "| found", found, "| missed", left)
        new = (1, right, len(found), len(row["keywords"]))
        for key in (row["language"], "all"):
            counts[key] = [a + b for a, b in zip(counts[key], new, strict=True)]
    return {
        key: {
            "precision": right / found if found else None,
            "recall": right / wanted if wanted else None,
            "texts": texts,
            "found": found,
            "wanted": wanted,
        }
        for key, (texts, right, found, wanted) in counts.items()
    }


def _share(value: float | None) -> str:
    return "   -" if value is None else f"{value:4.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--show", action="store_true", help="print what was missed and what was wrong")
    arguments = parser.parse_args()
    measured = {name: measure(name, arguments.show) for name in SETS}
    barred = [(rows[key][share] or 0.0) for rows in measured.values() for key in ("all", "ar")
              for share in ("precision", "recall")]  # fmt: skip
    passed = all(value >= BAR for value in barred)
    if arguments.json:
        print(json.dumps({"measured": measured, "bar": BAR, "passed": passed}))
        return 0 if passed else 1
    for name, rows in measured.items():
        for key, row in rows.items():
            shares = f"precision {_share(row['precision'])}  recall {_share(row['recall'])}"
            print(f"{name:9} {key:4} {shares}  ({row['texts']} texts, {row['wanted']} names, {row['found']} found)")
    print("passed" if passed else "MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
