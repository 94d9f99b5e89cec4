"""`MellaMetric`: scores predictions against references, with intervals, floors and a signature.

All scores are on a 0-100 scale. BLEU and chrF++ are corpus scores, ROUGE-L and METEOR are means over items. Keyword
accuracy is micro (hits over keywords) and macro (mean over images that have keywords).
"""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.languages import Language, get_language
from mella_hf.metrics import checks, cleaning, paper, significance
from mella_hf.metrics.checks import as_list, check_texts, keyword_lists
from mella_hf.metrics.installed import (
    all_metrics,
    all_scores,
    columns,
    own_difference_intervals,
    own_intervals,
    score_items,
    score_sums,
)
from mella_hf.metrics.matching import Mode
from mella_hf.metrics.results import Scores
from mella_hf.metrics.scores.meteor import METEORS
from mella_hf.metrics.statistics import FLAGS, Corpus, ItemCounts, count_items
from mella_hf.metrics.texts.prepared import MetricSettings
from mella_hf.metrics.texts.sequences import Lazy
from mella_hf.metrics.texts.tables import JoinedTables, blocks, column_sums
from mella_hf.text.identifiers import DEFAULT, identifier_name
from mella_hf.text.lid import is_identifiable
from mella_hf.text.tokens import stemmer_version, tokenizer_version

Intervals = dict[str, tuple[float, float]]

VERSION = 7  # version of the metric; increase it with any change that changes a score
DIGITS = 4  # scores are rounded, so they are equal on machines that sum in another order


DIGEST = 16  # bytes; two of a million texts are equal with a probability below 1e-26
_KEY = 3 * DIGEST  # reference, keywords, prediction


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()


def floor_partners(groups: Sequence[Any] | np.ndarray) -> np.ndarray:
    """For each item, the item whose reference is its floor; -1 if all references are the same.

    `groups` are the references' keys, sorted. Shifting by the size of the largest group gives each
    item another reference than its own, unless one reference fills more than half of the corpus.
    """
    keys = np.asarray(groups)
    n = len(keys)
    ends = np.append(np.flatnonzero(keys[1:] != keys[:-1]) + 1, n)
    largest = int(np.diff(ends, prepend=0).max(initial=0))
    if largest == n:
        return np.full(n, -1)
    return (np.arange(n) + largest) % n


@dataclass
class ItemStatistics:
    """The result of `MellaMetric.statistics`: one row per item, in the given order.

    Attributes:
        counts: the statistics.
        keys: [n] digests of reference, keywords and prediction, which put items in a canonical order.
        signature: signature of the metric.
    """

    counts: ItemCounts
    keys: np.ndarray
    signature: str
    has_floor: bool

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def asked(self) -> np.ndarray:
        """[n, bytes] digests of reference and keywords: what two systems were asked."""
        return self.keys.view(np.uint8).reshape(len(self), _KEY)[:, : 2 * DIGEST]

    def subset(self, members: Sequence[int]) -> "ItemStatistics":
        """The items at these indices; their floors remain those of the whole corpus."""
        at = np.asarray(members, dtype=np.intp)
        return ItemStatistics(self.counts.take(at), self.keys[at], self.signature, self.has_floor)

    def table(self) -> list[dict[str, Any]]:
        """One dict per item: its scores in [0, 100] (keyword scores None without keywords), flags and language."""
        return list(self.each())

    def each(self) -> Iterator[dict[str, Any]]:
        """The dicts of `table`, one after the other."""
        counts, keywords = self.counts, columns()["keywords"]
        for place, rows in blocks(counts.rows):
            by_item = score_items(rows)
            for i, at in enumerate(range(place.start, place.start + len(rows))):
                row: dict[str, Any] = {name: number(values[i]) for name, values in by_item.items()}
                row["keyword_hits"], row["keywords"] = (int(v) for v in rows[i, keywords][:2])
                row["repetition_share"] = round(float(counts.repetition[at]), DIGITS)
                row |= {flag: bool(value) for flag, value in zip(FLAGS, counts.flags[at], strict=True)}
                row["language"] = counts.labels[at]
                yield row


def number(value: Any) -> float | None:
    """A score as a rounded float; None for NaN."""
    return None if np.isnan(value) else round(float(value), DIGITS)


def _keys(predictions: Sequence[str], references: Sequence[str], keywords: Sequence[Sequence[str]]) -> np.ndarray:
    """[n] digests of each item's reference, keywords and prediction, one after the other."""
    keys = bytearray()
    for prediction, reference, names in zip(predictions, references, keywords, strict=True):
        keys += _digest(reference) + _digest(*names) + _digest(prediction)
    return np.frombuffer(keys, dtype=f"S{_KEY}")


def _chosen(values: Sequence[Any], order: np.ndarray) -> Lazy[Any]:
    """The values in the given order."""
    return Lazy(len(order), lambda at: values[order[at]])


def _ends(resampled: dict[str, np.ndarray]) -> Intervals:
    """Intervals of resampled scores; a score that exists in no resample is left out."""
    return {name: significance.interval(values) for name, values in resampled.items() if not np.isnan(values).all()}


class MellaMetric:
    """Caption scores for one language.

    Args:
        language: code of an entry of `mella_hf.languages`.
        keyword_mode: "exact", "stem" or "fuzzy" (see `mella_hf.metrics.matching`).
        meteor: "exact+stem" (METEOR 1.5) or "nltk", for comparison.
        resamples: number of bootstrap resamples; with 0 only the scores that count hits have intervals.
        seed: seed of the bootstrap.
        workers: processes; all cores by default if there is enough work.
        progress: show a bar if scoring takes more than two seconds.
        protocol: "mella", or "paper" to reproduce the author's published averages (`mella_hf.metrics.paper`),
            which are not comparable with anything else and say so in their signature.
        check: `compute` also recomputes BLEU and chrF++ with sacrebleu, ROUGE-L with rouge_score and METEOR with nltk
            on the same tokens, and puts both beside each other (`mella_hf.metrics.peers`).
        keyword_plain: keywords match without the diacritics of Latin letters, too ("u Nisu" names Niš).
        keywords_by: what found the keywords, such as "ner:ORG/MODEL" or "rules-0.1.0", for the signature.
        answer_cleaning: score answers without `<think>` blocks, "Answer:" and Markdown (`mella_hf.metrics.cleaning`).

    Raises:
        UnknownLanguageError, MellaError: for unknown settings.
    """

    def __init__(
        self,
        language: str,
        *,
        keyword_mode: Mode = "stem",
        meteor: str = "exact+stem",
        resamples: int = significance.RESAMPLES,
        seed: int = significance.SEED,
        workers: int | None = None,
        progress: bool = True,
        protocol: Literal["mella", "paper"] = "mella",
        check: bool = False,
        keyword_plain: bool = False,
        answer_cleaning: bool = False,
        keywords_by: str = "",
    ):
        self.language: Language = get_language(language)
        if meteor not in METEORS:
            raise MellaError(f"Unknown meteor {meteor!r}; choose one of {', '.join(METEORS)}.")
        if keyword_mode not in ("exact", "stem", "fuzzy"):
            raise MellaError(f"Unknown keyword mode {keyword_mode!r}; choose one of exact, stem, fuzzy.")
        if not isinstance(resamples, int) or resamples < 0:
            raise MellaError(f"The number of resamples is {resamples!r}; give a whole number, 0 for no intervals.")
        if protocol not in ("mella", "paper"):
            raise MellaError(f"Unknown protocol {protocol!r}; choose one of mella, paper.")
        if keyword_plain and "Latn" not in self.language.scripts:
            raise MellaError(
                f"{self.language.name} is not written in Latin letters, so keyword_plain does nothing; leave it out."
            )
        if answer_cleaning and protocol == "paper":
            raise MellaError("The paper's protocol cleans answers in its own way; leave answer_cleaning out.")
        self.protocol = protocol
        self.keyword_mode, self.meteor = keyword_mode, meteor
        self.resamples, self.seed = resamples, seed
        self.workers, self.progress = workers, progress
        self.check = check
        self.keywords_by = keywords_by
        self.keyword_plain, self.answer_cleaning = keyword_plain, answer_cleaning

    def __repr__(self) -> str:
        signature = paper.paper_signature(None) if self.protocol == "paper" else self.signature
        return f"MellaMetric({self.language.code!r}): {signature}"

    @property
    def signature(self) -> str:
        """Everything that a score depends on, except the texts. Scores with different signatures are not comparable."""
        settings = self._settings(())
        return "|".join(
            (
                "mella",
                f"v:{VERSION}",
                f"lang:{self.language.code}",
                f"norm:{self.language.normalizer.__name__.removeprefix('normalize_')}",
                f"tok:{tokenizer_version(self.language.tokenizer)}",
                f"stem:{stemmer_version(self.language.stemmer)}",
                *(metric.signature(settings) for metric in all_metrics()),
                *self._rests_on(),
            )
        )

    def _rests_on(self) -> list[str]:
        """What differs from the defaults: cleaned answers, found keywords, drafted prompts, another identifier."""
        unusual = [f"clean:{cleaning.CLEANING}"] if self.answer_cleaning else []
        if self.keywords_by:
            unusual.append(f"kwby:{self.keywords_by}")
        if self.language.prompts_by != "speaker":
            unusual.append(f"prompts:{self.language.prompts_by}")
        if not is_identifiable(self.language) and not self.language.own_scripts:
            unusual.append("lid:none")
        elif identifier_name() != DEFAULT:
            unusual.append(f"lid:{Path(identifier_name()).name}")
        return unusual

    def _settings(self, prompts: tuple[str, ...]) -> MetricSettings:
        return MetricSettings(self.language, self.keyword_mode, self.keyword_plain, self.meteor, prompts)

    def statistics(
        self,
        *,
        predictions: Sequence[str],
        references: Sequence[str],
        keywords: Sequence[Sequence[str] | None] | None = None,
        keywords_by: Iterable[str | None] = (),
        prompts: Sequence[str] | None = None,
        check_references: bool = True,
    ) -> ItemStatistics:
        """Count every item once; `score` and `compare` work from the result.

        Args:
            predictions: one text per item, in any sequence, pandas Series, NumPy array or Arrow column, paired by
                position; an empty prediction counts and scores 0.
            references: one text per item, likewise.
            keywords: names that each answer should mention; None or an empty list if an item has none.
            keywords_by: what found the keywords of each item, as the column `keywords_by` of a dataset says it, for the
                signature; None where people or the source gave them.
            prompts: user turns, to find answers that repeat them; the language's own by default.
            check_references: raise an error if references are in another language.

        Raises:
            MellaError: for texts that are not strings, lists of different lengths, no items, empty
                references, or references in another language.
        """
        predictions, references = as_list(predictions, "predictions"), as_list(references, "references")
        words = keyword_lists(keywords)
        check_texts(predictions, references, words)
        self._warn_of_unclean(predictions)
        predictions = self.answers(predictions)
        kept: Sequence[Sequence[str]] = words if words is not None else [()] * len(predictions)
        keys = _keys(predictions, references, kept)
        order = np.argsort(keys, kind="stable")
        places = floor_partners(keys[order].view(f"S{DIGEST}")[::3])
        has_floor = bool(places[0] >= 0)
        partners = order[places] if has_floor else places
        user_turns = tuple(prompts or (*self.language.know_prompts, *self.language.ling_prompts))
        corpus = Corpus(predictions, references, kept, order, partners, self._settings(user_turns))
        counts = count_items(corpus, self.workers, self.progress)
        if check_references:
            labels = ((counts.reference_labels[at], bool(counts.reference_wrong[at])) for at in order)
            checks.check_references(_chosen(references, order), self.language, _chosen(kept, order), labels)
        found_by = sorted({name for name in keywords_by if name}) if not self.keywords_by else []
        signature = "|".join((self.signature, *(f"kwby:{','.join(found_by)}" for _ in found_by[:1])))
        return ItemStatistics(counts, keys, signature, has_floor)

    def answers(self, predictions: Sequence[str]) -> Sequence[str]:
        """The answers as they are scored."""
        if not self.answer_cleaning:
            return predictions
        if isinstance(predictions, Lazy):
            return Lazy(len(predictions), lambda at: cleaning.clean_answer(predictions[at]))
        return [cleaning.clean_answer(text) for text in predictions]

    def _warn_of_unclean(self, predictions: Sequence[str]) -> None:
        share = 0.0 if self.answer_cleaning else cleaning.share_to_clean(predictions)
        if share >= cleaning.LIKELY:
            warnings.warn(
                f'{share:.0%} of the answers have <think> blocks, "Answer:" or Markdown, which are scored as words; '
                "--answer-cleaning, in Python MellaMetric(answer_cleaning=True), leaves them out.",
                stacklevel=3,
            )

    def check_references(
        self,
        references: Sequence[str],
        keywords: Sequence[Sequence[str] | None] | None = None,
        *,
        languages: bool = True,
    ) -> None:
        """Check references before anything is answered: `statistics` would refuse the same ones.

        Args:
            languages: also check which language they are in.

        Raises:
            MellaError: for a reference without a word, or references in another language.
        """
        texts = as_list(references, "references")
        if languages:
            checks.check_references(texts, self.language, keyword_lists(keywords))
        else:
            checks.check_words(texts)

    def score(self, statistics: ItemStatistics) -> Scores:
        """The scores from item statistics; see `compute`."""
        order, counts, n = np.argsort(statistics.keys, kind="stable"), statistics.counts, len(statistics)
        sums = column_sums(JoinedTables((counts.rows,), order))
        result = Scores({name: number(value) for name, value in score_sums(sums, n).items()})
        intervals, over = self._intervals(statistics, order)
        floor = score_sums(column_sums(counts.floors), n)
        for name in all_scores():
            known = result[name] is not None and name in intervals
            result[f"{name}_low"], result[f"{name}_high"] = map(number, intervals[name]) if known else (None, None)
            result[f"{name}_floor"] = number(floor[name]) if statistics.has_floor else None
            ends = map(number, over[name]) if known and name in over else (None, None)
            result[f"{name}_over_floor_low"], result[f"{name}_over_floor_high"] = ends
        rates = dict(zip(FLAGS, counts.flags.mean(axis=0), strict=True))
        for flag in FLAGS:
            result[f"{flag}_rate"] = number(rates[flag])
        result["degenerate_rate"] = number(counts.flags.any(axis=1).mean())
        words = counts.lengths.sum(axis=0)
        result["length_ratio"] = number(words[0] / words[1]) if words[1] else None
        result["reference_wrong_language_rate"] = number(counts.reference_wrong.mean())
        result["n"] = n
        result["signature"] = f"{statistics.signature}|n:{n}|bs:{self.resamples}|seed:{self.seed}"
        return result

    def _intervals(self, statistics: ItemStatistics, order: np.ndarray) -> tuple[Intervals, Intervals]:
        """The 95% interval of each score, and of the difference to its floor: the metric's own, or the bootstrap's."""
        rows, floors = statistics.counts.rows, statistics.counts.floors
        scores, over = {}, {}
        if self.resamples:
            n = len(statistics)
            both = JoinedTables((rows, floors) if statistics.has_floor else (rows,), order)
            sums = significance.bootstrap_sums(both, self.resamples, self.seed)
            scores = score_sums(sums[:, : rows.width], n)
            if statistics.has_floor:
                floor_scores = score_sums(sums[:, rows.width :], n)
                over = {name: scores[name] - floor_scores[name] for name in scores}
        own_over = own_difference_intervals(floors, rows, order) if statistics.has_floor else {}
        return _ends(scores) | own_intervals(rows, order), _ends(over) | own_over

    def compute(
        self,
        *,
        predictions: Sequence[str],
        references: Sequence[str],
        keywords: Sequence[Sequence[str] | None] | None = None,
        prompts: Sequence[str] | None = None,
        check_references: bool = True,
        return_items: bool = False,
    ) -> Scores:
        """Score a corpus. Arguments and errors are those of `statistics`.

        Returns:
            `bleu`, `chrf` (chrF++ as sacrebleu's), `chrf_tokens`, `rouge_l`, `meteor`, `cider`, `keyword_micro`,
            `keyword_macro` (None without keywords), each with `_low` and `_high` (95% bootstrap interval) and
            `_floor` (the same predictions against another image's reference; None where there is no other), and
            `_over_floor_low` and `_over_floor_high`, the 95% interval of the difference of both, paired by image;
            rates in [0, 1]: `empty_rate`, `repetition_rate`, `loop_rate`, `wrong_language_rate`,
            `wrong_script_rate`, `prompt_copy_rate`, `degenerate_rate` (any of them),
            `reference_wrong_language_rate`; `length_ratio`, `n`, `signature`. With `return_items`
            also `items`, one dict of scores an item; with `check` also `check`, score -> ours, theirs, difference, by.
            With `protocol="paper"` only `bleu_1` ... `bleu_4`, `rouge_l`, `meteor`, `n` and `signature`.
        """
        predictions, references = as_list(predictions, "predictions"), as_list(references, "references")
        if self.protocol == "paper":
            check_texts(predictions, references, keyword_lists(keywords))
            signature = paper.paper_signature(None)
            found = paper.paper_scores(predictions, references)
            return Scores({**found, "n": len(predictions), "signature": signature})
        statistics = self.statistics(
            predictions=predictions,
            references=references,
            keywords=keywords,
            prompts=prompts,
            check_references=check_references,
        )
        result = self.score(statistics)
        if return_items:
            result["items"] = statistics.table()
        if self.check:
            from mella_hf.metrics.peers import differences

            result["check"] = differences(result, self.answers(predictions), references, self.language)
        return result
