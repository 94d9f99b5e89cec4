"""Recompute scores with the programs that published numbers come from.

BLEU and chrF++ by sacrebleu, ROUGE-L by rouge_score, METEOR by nltk; all but chrF++ on the same tokens, chrF++ on the
texts as they come and on tokens. All but METEOR equal ours but for rounding.
METEOR differs: nltk looks for the alignment in another way, and counts a word in common by its stem like an equal one.
"""

from collections.abc import Sequence
from importlib.metadata import version
from statistics import fmean
from typing import Any, TypedDict

from mella_hf.compat import chrf_on_tokens
from mella_hf.languages import Language
from mella_hf.metrics.scores.meteor import ALPHA, BETA, GAMMA, score_by_nltk
from mella_hf.text.tokens import TokenAnalysis, analyze

BY = {"bleu": "sacrebleu", "chrf": "sacrebleu", "chrf_tokens": "sacrebleu", "rouge_l": "rouge-score", "meteor": "nltk"}


def recompute(predictions: Sequence[str], references: Sequence[str], language: Language) -> dict[str, float]:
    """BLEU, chrF++, ROUGE-L and METEOR of a corpus in [0, 100], none of them by code of this library.

    Args:
        predictions, references: texts as they came, paired by position.
    """
    from sacrebleu.metrics import CHRF

    pairs = [(analyze(p, language), analyze(r, language)) for p, r in zip(predictions, references, strict=True)]
    return {
        "bleu": _bleu(pairs),
        "chrf": float(CHRF(word_order=2).corpus_score(list(predictions), [list(references)]).score),
        "chrf_tokens": _chrf_tokens(pairs),
        "rouge_l": 100.0 * fmean(_rouge_l(p, r) for p, r in pairs),
        "meteor": 100.0 * fmean(score_by_nltk(p, r, alpha=ALPHA, beta=BETA, gamma=GAMMA) for p, r in pairs),
    }


class Difference(TypedDict):
    """A score of ours, the same by another package (`by`, with its version), and ours less theirs."""

    ours: float
    theirs: float
    difference: float
    by: str


def differences(
    scores: dict[str, Any], predictions: Sequence[str], references: Sequence[str], language: Language
) -> dict[str, Difference]:
    """Our scores beside those of `recompute`: score -> `ours`, `theirs`, `difference` (ours less theirs) and `by`."""
    theirs = recompute(predictions, references, language)
    return {
        name: {
            "ours": scores[name],
            "theirs": round(value, 4),
            "difference": round(scores[name] - value, 4),
            "by": f"{BY[name]} {version(BY[name])}",
        }
        for name, value in theirs.items()
    }


Pairs = list[tuple[TokenAnalysis, TokenAnalysis]]


def _bleu(pairs: Pairs) -> float:
    from sacrebleu.metrics import BLEU

    lines = [[" ".join(text.tokens) for text in side] for side in zip(*pairs, strict=True)]
    return float(BLEU(tokenize="none", force=True).corpus_score(lines[0], [lines[1]]).score)


def _chrf_tokens(pairs: Pairs) -> float:
    predictions, references = zip(*pairs, strict=True)
    chrf = chrf_on_tokens({text.normalized: text.tokens for text in (*predictions, *references)})
    texts = [[text.normalized for text in side] for side in (predictions, references)]
    return float(chrf.corpus_score(texts[0], [texts[1]]).score)


class _Words:
    """rouge_score's tokenizer interface on words that are known already."""

    def tokenize(self, text: str) -> list[str]:
        """The words of a text in which they stand between spaces."""
        return text.split()


def _rouge_l(prediction: TokenAnalysis, reference: TokenAnalysis) -> float:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=_Words())
    return float(scorer.score(" ".join(reference.words), " ".join(prediction.words))["rougeL"].fmeasure)
