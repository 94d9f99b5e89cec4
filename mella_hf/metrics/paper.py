"""Score as the paper's author did, errors included, to reproduce the published averages.

Use this only to reproduce published numbers: they are **not comparable** with any other. Predictions (not references)
are cleaned for English visual question answering. Both are tokenised by the Penn Treebank tokenizer, which knows no
Thai, Korean or Arabic, and the scores of single items are averaged. METEOR runs with English settings, whose normaliser
makes a token of each single Arabic, Thai or Hangul letter.

Reproduces the published averages of base and tuned InternVL2-8B for ar and cs, and of the base for th. The published
Czech tuned row is reproduced only with `max_characters=1300`, the Thai tuned row not at all.
"""

import math
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

from mella_hf.errors import MellaError, MissingExtraError

# The answer processor of English VQA (Goyal et al. 2017), as distributed with LLaVA and InternVL.
_VQA_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_VQA_COMMA = re.compile(r"(?<=\d)(\,)+(?=\d)")
_VQA_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")
_VQA_PERIODS = 32  # re.UNICODE, passed where `re.sub` takes a count: later periods stay
_NUMBER_WORDS = "zero one two three four five six seven eight nine ten".split()
_VQA_NUMBERS = {"none": "0"} | {word: str(number) for number, word in enumerate(_NUMBER_WORDS)}
_VQA_ARTICLES = ("a", "an", "the")  # "a" is also Czech for "and"


def clean_prediction(text: str) -> str:
    """Clean a prediction in the same way as the English VQA answer processor."""
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    text = text.replace("\n", " ").replace("\t", " ").strip()
    cleaned = text
    for mark in _VQA_PUNCTUATION:
        alone = f"{mark} " in text or f" {mark}" in text or _VQA_COMMA.search(text)
        cleaned = cleaned.replace(mark, "" if alone else " ")
    cleaned = _VQA_PERIOD.sub("", cleaned, count=_VQA_PERIODS)
    words = (_VQA_NUMBERS.get(word, word) for word in cleaned.lower().split())
    return " ".join(word for word in words if word not in _VQA_ARTICLES)


_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
# The tokens that coco-caption leaves out. It compares in upper case after lowering: brackets stay.
_DROPPED = frozenset(".?!,:;-") | {"--", "...", "''", "'", "``", "`", '"', "“", "”"}


@lru_cache(maxsize=1)
def _penn_pattern() -> Any:
    import regex

    return regex.compile(
        r"""
          [\p{L}\p{N}]+\.[a-z]{2,4}(?![\p{L}\p{N}])                      # what looks like a host name
        | -?\d+(?:[.,:]\d+)+ | \.\d+(?:[.,:]\d+)* | -\d+(?:[.,:]\d+)*(?!\p{L})
        | \p{L}\.(?:\p{L}\.)+ | inc\.
        | [a-z0-9]+(?:/[a-z]+)+
        | d'\p{L}+ | [\p{L}\p{N}]+(?:-[\p{L}\p{N}]+)+(?!\p{M}) | [\p{L}\p{M}\p{N}]+
        | '(?:s|m|d|re|ve|ll)(?![\p{L}\p{N}])
        | \.\.\. | \*\* | \#[\p{L}\p{N}]+
        | [^\s\ufffd]
        """,
        regex.X,
    )


def penn_tokens(text: str) -> list[str]:
    """Lower-cased tokens without punctuation, as Stanford's PTBTokenizer 3.4.1 and coco-caption leave them.

    A regular expression, checked against the Java program on 1,200 real captions in ar, cs and th.
    """
    found = (_BRACKETS.get(token, token) for token in _penn_pattern().findall(text.lower()))
    return [token for token in found if token not in _DROPPED]


def item_bleu(prediction: Sequence[str], reference: Sequence[str]) -> list[float]:
    """BLEU-1 to BLEU-4 of one item in [0, 1], smoothed by the tiny constants of coco-caption."""
    tiny, small = 1e-15, 1e-9
    scores, product = [], 1.0
    for order in range(1, 5):
        ours, theirs = (
            Counter(tuple(t[i : i + order]) for i in range(len(t) - order + 1)) for t in (prediction, reference)
        )
        product *= ((ours & theirs).total() + tiny) / (max(len(prediction) - order + 1, 0) + small)
        scores.append(product ** (1.0 / order))
    ratio = (len(prediction) + tiny) / (len(reference) + small)
    return [score * math.exp(1.0 - 1.0 / ratio) if ratio < 1.0 else score for score in scores]


def item_rouge_l(prediction: Sequence[str], reference: Sequence[str]) -> float:
    """ROUGE-L of one item in [0, 1] with beta = 1.2, as coco-caption computes it."""
    from rapidfuzz.distance import LCSseq

    common = LCSseq.similarity(prediction, reference) if prediction and reference else 0
    if not common:
        return 0.0
    precision, recall, weight = common / len(prediction), common / len(reference), 1.2**2
    return (1.0 + weight) * precision * recall / (recall + weight * precision)


def meteor_jar() -> Path | None:
    """METEOR 1.5's jar in an installed pycocoevalcap, when Java is there to run it."""
    spec = find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations or which("java") is None:
        return None
    jar = Path(spec.submodule_search_locations[0]) / "meteor" / "meteor-1.5.jar"
    return jar if jar.exists() else None


_SEGMENT = re.compile(r"^Segment \d+ score:\s+(\S+)$", re.MULTILINE)


def java_meteor(
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    options: Sequence[str] = ("-l", "en", "-norm"),
) -> list[float]:
    """Scores of the Java program, in [0, 1], one an item.

    Raises:
        MissingExtraError: where Java or pycocoevalcap, which carries the jar, is missing.
        MellaError: when the program fails.
    """
    jar = meteor_jar()
    if jar is None:
        raise MissingExtraError("pycocoevalcap", "paper", "METEOR 1.5 (which also needs Java)")
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, texts in (("predictions", predictions), ("references", references)):
            path = Path(folder) / name
            path.write_text("".join(" ".join(words) + "\n" for words in texts), encoding="utf-8")
            files.append(str(path))
        command = ["java", "-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", str(jar), *files, *options]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=folder, check=False)
    scores = [float(score) for score in _SEGMENT.findall(done.stdout)]
    if done.returncode or len(scores) != len(predictions):
        raise MellaError(
            f"METEOR 1.5 scored {len(scores)} of {len(predictions)} items and said: {done.stderr[-500:]!r}."
        )
    return scores


def paper_scores(
    predictions: Sequence[str], references: Sequence[str], max_characters: int | None = None
) -> dict[str, Any]:
    """Means of item scores, in [0, 100]: `bleu_1` ... `bleu_4`, `rouge_l`, `meteor` (None without Java).

    Args:
        max_characters: cut cleaned predictions and references there first.
    """
    ours = [penn_tokens(clean_prediction(text)[:max_characters]) for text in predictions]
    theirs = [penn_tokens(text.replace("\n", " ")[:max_characters]) for text in references]
    n = len(ours)
    bleus = [item_bleu(p, r) for p, r in zip(ours, theirs, strict=True)]
    result: dict[str, Any] = {f"bleu_{k + 1}": 100.0 * sum(b[k] for b in bleus) / n for k in range(4)}
    result["rouge_l"] = 100.0 * sum(item_rouge_l(p, r) for p, r in zip(ours, theirs, strict=True)) / n
    result["meteor"] = 100.0 * sum(java_meteor(ours, theirs)) / n if meteor_jar() else None
    return {name: None if value is None else round(value, 4) for name, value in result.items()}


def paper_signature(max_characters: int | None) -> str:
    """The signature; it says that these scores are not comparable with others."""
    cut = "" if max_characters is None else f"|cut:{max_characters}"
    scores = "bleu:item|rl:b1.2|meteor:1.5-en-norm"
    return f"mella|protocol:paper|NOT COMPARABLE|clean:vqa-en,predictions|tok:ptb{cut}|{scores}"
