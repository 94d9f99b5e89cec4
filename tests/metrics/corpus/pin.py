"""Print the expected scores of the corpus, from programs that are not ours.

BLEU and chrF++ from sacrebleu, ROUGE-L from rouge_score, METEOR from the Java program 1.5 (`-l other`, exact matches)
and from nltk; all on the words of `mella_hf.text.tokens`, and chrF++ also on
the texts as they are. Needs Java and pycocoevalcap:

    python tests/metrics/corpus/pin.py > tests/metrics/corpus/expected.json
"""

import json
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from mella_hf.metrics.paper import java_meteor
from mella_hf.text.tokens import TokenAnalysis, analyze

FOLDER = Path(__file__).parent
LANGUAGES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


class Split:
    """rouge_score's tokenizer interface on finished tokens."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()


class ChrF(CHRF):
    """sacrebleu's chrF++ with the letters of the normalised text and the words of our tokenizer.

    Korean needs it: the tokenizer gives morphemes, whose letters are not those of the text.
    """

    def __init__(self, texts: Sequence[TokenAnalysis]):
        super().__init__(word_order=2)
        self.tokens = {text.normalized: text.tokens for text in texts}

    def _remove_punctuation(self, sent: str) -> list[str]:
        return self.tokens[sent]


class Stems:
    """nltk's stemmer interface on the stems of two texts."""

    def __init__(self, *texts: TokenAnalysis):
        self.stems = {word: stem for text in texts for word, stem in zip(text.words, text.stems, strict=True)}

    def stem(self, word: str) -> str:
        return self.stems[word]


class NoSynonyms:
    """nltk's WordNet interface without a single word."""

    def synsets(self, word: str) -> list[Any]:
        return []


def expected(language: str) -> dict[str, Any]:
    """The scores of one language in [0, 100]; those of METEOR item by item."""
    rows = [json.loads(line) for line in (FOLDER / f"{language}.jsonl").open(encoding="utf-8")]
    raw = [[row[key] for row in rows] for key in ("prediction", "reference")]
    ours, theirs = ([analyze(text, language) for text in texts] for texts in raw)
    tokens = [[" ".join(text.tokens) for text in texts] for texts in (ours, theirs)]
    rouge = RougeScorer(["rougeL"], tokenizer=Split())
    pairs = list(zip(ours, theirs, strict=True))
    longest = [rouge.score(" ".join(r.words), " ".join(p.words))["rougeL"].fmeasure for p, r in pairs]
    nltk = [
        single_meteor_score(r.words, p.words, preprocess=str, stemmer=Stems(p, r), wordnet=NoSynonyms())
        for p, r in pairs
    ]
    chrf = ChrF([*ours, *theirs])
    normal = [p.normalized for p in ours], [[r.normalized for r in theirs]]
    java = java_meteor([p.words for p in ours], [r.words for r in theirs], ("-l", "other"))
    return {
        "bleu": round(BLEU(tokenize="none", force=True).corpus_score(tokens[0], [tokens[1]]).score, 4),
        "chrf": round(CHRF(word_order=2).corpus_score(raw[0], [raw[1]]).score, 4),
        "chrf_tokens": round(chrf.corpus_score(*normal).score, 4),
        "rouge_l": round(100 * statistics.mean(longest), 4),
        "meteor_nltk": round(100 * statistics.mean(nltk), 4),
        "meteor_java_exact": [round(100 * score, 4) for score in java],
    }


if __name__ == "__main__":
    by = {package: version(package) for package in ("sacrebleu", "rouge-score", "nltk", "pycocoevalcap")}
    print(json.dumps({"by": by, "scores": {code: expected(code) for code in LANGUAGES}}, indent=1))
