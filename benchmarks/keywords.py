"""How well names are found in alt-texts: precision and recall on 240 hand-checked ones, thirty a language.

    python benchmarks/keywords.py [--json] [--show]

A found keyword is right when it shares a word (stem) with a hand-marked one that is not taken yet; Korean and Thai,
which write without spaces between them, when one contains the other. Bars: precision and recall of
at least 0.6 over all languages. Exit status 1 when one is missed.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

GOLD = Path(__file__).parent.parent / "tests/metrics/data/keywords_gold.jsonl"
BAR = 0.6


def same(found: str, wanted: str, language: str) -> bool:
    """Whether a found keyword names what a hand-marked one names."""
    from mella_hf.languages import get_language
    from mella_hf.metrics.text import analyze, arabic_bases, stem_words

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


def measure(show: bool = False) -> dict[str, dict[str, float]]:
    """Precision and recall by language, and over all."""
    from mella_hf.metrics import extract_keywords

    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])  # right, found, wanted
    for line in GOLD.read_text("utf-8").splitlines():
        row = json.loads(line)
        found = extract_keywords(row["text"], row["language"])
        left = list(row["keywords"])
        right = 0
        for name in found:
            hit = next((want for want in left if same(name, want, row["language"])), None)
            if hit is not None:
                left.remove(hit)
                right += 1
        if show and (left or right < len(found)):
            print(row["language"], row["text"], "| found", found, "| missed", left)
        for name in (row["language"], "all"):
            counts[name] = [a + b for a, b in zip(counts[name], (right, len(found), len(row["keywords"])), strict=True)]
    return {
        name: {"precision": right / max(found, 1), "recall": right / max(wanted, 1), "found": found, "wanted": wanted}
        for name, (right, found, wanted) in counts.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--show", action="store_true", help="print what was missed and what was wrong")
    arguments = parser.parse_args()
    measured = measure(arguments.show)
    passed = all(measured["all"][name] >= BAR for name in ("precision", "recall"))
    if arguments.json:
        print(json.dumps({"measured": measured, "bar": BAR, "passed": passed}))
    else:
        for name, row in measured.items():
            print(f"{name:4} precision {row['precision']:.2f}  recall {row['recall']:.2f}  ({row['wanted']:.0f} names)")
        print("passed" if passed else "MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
