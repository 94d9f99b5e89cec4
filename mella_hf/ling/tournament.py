"""Tournaments: several translators translate every caption, the judge scores all, and the best translation is kept.

OUT/tournament.jsonl      a line per image and language: who won, by how much, and what each of them said
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from mella_hf.files import json_lines, write_atomic
from mella_hf.ling.comet import Scorer
from mella_hf.ling.comet_worker import Pair
from mella_hf.ling.described import read_rows
from mella_hf.ling.quality import QualityVerdict, judge
from mella_hf.stage import StageReport

FILE = "tournament.jsonl"
EVEN = 1e-6  # scores that differ by less are equal
# English words of a caption; the paper's captions have about 258 tokens, near 200 words.
LENGTHS = {"up to 50 words": 50, "51 to 100": 100, "more than 100": 1 << 30}


class TranslationCandidate(TypedDict, total=False):
    """One translation of a caption.

    Attributes:
        translator: who made it.
        text: the translation.
        forms: how it writes the names that it must keep, by name.
        problem: why it cannot be used, as a reason that is counted; None if it can.
        qe_score: COMETKiwi's score; None where none was asked for.
    """

    translator: str
    text: str
    forms: dict[str, str]
    problem: str | None
    qe_score: float | None


def judge_all(
    rows: Sequence[Mapping[str, Any]], language: str, scorer: Scorer | None, threshold: float
) -> list[list[TranslationCandidate]]:
    """Judge every translation of every row; equal translations of a caption are judged once.

    Args:
        rows: `caption_en` and `candidates`, each with `text` and maybe a `problem` that was found before.

    Returns:
        The candidates of each row with `qe_score` and `problem`, in their order.
    """
    pairs: dict[Pair, QualityVerdict | None] = {}
    for row in rows:
        for candidate in row["candidates"]:
            if candidate.get("problem") is None:
                pairs[row["caption_en"], candidate["text"]] = None
    pairs.update(zip(pairs, judge(list(pairs), language, scorer, threshold), strict=True))
    judged = []
    for row in rows:
        candidates: list[TranslationCandidate] = []
        for candidate in row["candidates"]:
            verdict = pairs.get((row["caption_en"], candidate["text"])) if candidate.get("problem") is None else None
            found: TranslationCandidate = {**candidate, "qe_score": None}
            if verdict is not None:
                found["qe_score"], found["problem"] = verdict.score, verdict.problem
            candidates.append(found)
        judged.append(candidates)
    return judged


def best(candidates: Sequence[TranslationCandidate]) -> int:
    """The index of the best candidate: one that passed before one that did not, then by score, then the first."""
    return max(
        range(len(candidates)),
        key=lambda i: (candidates[i]["problem"] is None, _score(candidates[i]), -i),
    )


def margin(candidates: Sequence[TranslationCandidate]) -> float | None:
    """By how much the best score of those that passed exceeds the second; None if fewer than two were scored."""
    scores = sorted((_score(c) for c in candidates if c["problem"] is None and c["qe_score"] is not None), reverse=True)
    return scores[0] - scores[1] if len(scores) > 1 else None


def _score(candidate: TranslationCandidate) -> float:
    return -1.0 if candidate["qe_score"] is None else float(candidate["qe_score"])


class TournamentResult(TypedDict):
    """A line of tournament.jsonl: what the translators made of one caption.

    Attributes:
        path: of the image.
        words: of the English caption.
        won_by: the translator whose text is the row; None where no translation was good enough.
        qe_score: of the best one.
        margin: by how much that exceeds the second best; None where fewer than two good ones were scored.
        candidates: each translator's text, score and problem.
    """

    language: str
    path: str
    words: int
    won_by: str | None
    qe_score: float | None
    margin: float | None
    candidates: list[TranslationCandidate]


def write_results(out: Path, verdicts: Mapping[str, StageReport]) -> list[TournamentResult]:
    """Write what every translator said and scored, in the order of the images, and return the lines."""
    lines = []
    for language, stage in verdicts.items():
        for folder in stage.outputs:
            rejects = (reject for _, reject in json_lines(folder.parent / "rejects" / f"{folder.name}.jsonl"))
            kept = [result(row, language, row["path"]) for row in read_rows(folder)]
            lost = [result(reject, language, reject["where"]) for reject in rejects if "candidates" in reject]
            lines += sorted(kept + lost, key=lambda line: line["path"])
    write_atomic(out / FILE, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return lines


def result(row: Mapping[str, Any], language: str, path: str) -> TournamentResult:
    """The result about one image."""
    candidates = row["candidates"]
    winner = candidates[best(candidates)]
    return {
        "language": language,
        "path": path,
        "words": len(row["caption_en"].split()),
        "won_by": winner["translator"] if winner["problem"] is None else None,
        "qe_score": winner["qe_score"],
        "margin": margin(candidates),
        "candidates": candidates,
    }


@dataclass
class TranslatorStanding:
    """How a translator did.

    Attributes:
        judged: captions that it translated.
        won: captions for which its translation was kept; `shared` of them with an equal score of another.
        failed: translations that were not good enough, by reason.
        low, high: 95% interval of the win rate, in [0, 1] (Wilson 1927).
        mean_margin: of the captions it won alone against another good translation; None without one.
    """

    translator: str
    judged: int = 0
    won: int = 0
    shared: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    margins: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Share of captions that it won, in [0, 1]."""
        return self.won / self.judged if self.judged else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the rate."""
        from scipy.stats import binomtest

        found = binomtest(self.won, self.judged).proportion_ci(method="wilson")
        return float(found.low), float(found.high)

    @property
    def mean_margin(self) -> float | None:
        """By how much its translation was better on average, where it won alone."""
        return sum(self.margins) / len(self.margins) if self.margins else None

    def to_json(self) -> dict[str, Any]:
        """The standing for programs."""
        low, high = self.interval
        counts = {"judged": self.judged, "won": self.won, "shared": self.shared, "failed": self.failed}
        return {"translator": self.translator, **counts, "win_rate": self.rate, "low": low, "high": high,
                "mean_margin": self.mean_margin}  # fmt: skip


def standings(results: Iterable[Mapping[str, Any]]) -> list[TranslatorStanding]:
    """The standing of each translator over these results, the best first. Equal best scores are won by all of them."""
    found: dict[str, TranslatorStanding] = {}
    for line in results:
        candidates = line["candidates"]
        top = _score(candidates[best(candidates)])
        first = [
            c for c in candidates if line["won_by"] is not None and c["problem"] is None and _score(c) > top - EVEN
        ]
        for candidate in candidates:
            standing = found.setdefault(candidate["translator"], TranslatorStanding(candidate["translator"]))
            standing.judged += 1
            problem = candidate["problem"]
            if problem is not None:
                standing.failed[problem] = standing.failed.get(problem, 0) + 1
            if candidate in first:
                standing.won += 1
                standing.shared += len(first) > 1
                if len(first) == 1 and line["margin"] is not None:
                    standing.margins.append(line["margin"])
    return sorted(found.values(), key=lambda standing: -standing.rate)


def by_language_and_length(results: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[TranslatorStanding]]]:
    """(language, length, standings): first each language over all lengths (""), then its lengths that occur."""
    found = []
    for language in dict.fromkeys(line["language"] for line in results):
        own = [line for line in results if line["language"] == language]
        found.append((language, "", standings(own)))
        for name in LENGTHS:
            part = [line for line in own if length_of(line["words"]) == name]
            if part:
                found.append((language, name, standings(part)))
    return found


def length_of(words: int) -> str:
    """The name of a caption's length."""
    return next(name for name, most in LENGTHS.items() if words <= most)
