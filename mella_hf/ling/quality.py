"""Judge translations: a COMET score for each, and a reason for those that must be dropped.

COMETKiwi of at least 0.75 is the paper's criterion. COMETKiwi does not notice fluent text in the wrong language or
untranslated copies and scores them as translations; the checks here find those.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mella_hf.errors import MellaError
from mella_hf.languages import Language, get_language
from mella_hf.languages.sources import table
from mella_hf.ling.caption import repeats
from mella_hf.ling.comet import Scorer
from mella_hf.ling.comet_worker import Pair
from mella_hf.ling.translation_checks import translation_problem
from mella_hf.ling.translators.sentences import split_sentences, split_text
from mella_hf.text import lid

THRESHOLD = 0.75  # the paper, construction of D_ling
ATOM_CHARS = 160  # a sentence, or a part of a long one: windows are cut between these
AFRICOMET = "africomet"  # in the name of a checkpoint that stands on AfroXLM-R (masakhane/africomet-qe-stl)


@dataclass(frozen=True)
class QualityVerdict:
    """The verdict on a pair of caption and translation.

    Attributes:
        score: mean over its windows; None if an earlier check dropped it.
        problem: the reason to drop it, or None: those of `translation_problem`, `wrong_script`,
            `wrong_language`, `translation_repeats`, `too_long`, `low_quality`.
        windows: how many windows were scored.
    """

    score: float | None
    problem: str | None
    windows: int = 0


def check_language(language: str, force: bool = False, model: str = "") -> None:
    """Raise MellaError for a language that the encoder was not trained on; its scores would mean nothing.

    Args:
        model: the checkpoint: AfriCOMET's encoder is told by its name, any other is taken for XLM-R.
    """
    get_language(language)
    afro = AFRICOMET in model.lower()
    if language in table("afroxlmr" if afro else "xlmr") or force:
        return
    has_other = not afro and language in table("afroxlmr")
    other = "AfriCOMET's was: --qe-model masakhane/africomet-qe-stl. " if has_other else ""
    raise MellaError(
        f"{'AfroXLM-R' if afro else 'XLM-R'}, on which COMET stands, was not trained on {language!r}: its scores "
        f"would look like scores and mean nothing. {other}Judge by speakers instead (`mella review`), with --no-qe, "
        "or insist with --force-qe. See docs/new_language.md."
    )


def guard(source: str, translation: str, language: Language) -> str | None:
    """The first reason to drop a translation that can be found without a model, or None."""
    problem = translation_problem(source, translation)
    if problem is not None:
        return problem
    excerpt = lid.excerpt(translation)
    # Only the first script: Serbian is written in two, and a split with both teaches neither.
    if lid.script_share(excerpt, language.scripts[:1]) < lid.SCRIPT_SHARE:
        return "wrong_script"
    if not lid.is_language(excerpt, language.code):
        return "wrong_language"
    from mella_hf.text.tokens import analyze

    return "translation_repeats" if repeats(analyze(translation, language).words) else None


def judge(
    pairs: Sequence[Pair], language: str, scorer: Scorer | None, threshold: float = THRESHOLD
) -> list[QualityVerdict]:
    """Judge each (caption, translation).

    Args:
        scorer: None uses only the checks without a model.
    """
    entry = get_language(language)
    problems = [guard(source, translation, entry) for source, translation in pairs]
    passed = [i for i, problem in enumerate(problems) if problem is None]
    scores = score_pairs([pairs[i] for i in passed], scorer) if scorer else [(None, 0)] * len(passed)
    found = dict(zip(passed, scores, strict=True))
    verdicts = []
    for i, problem in enumerate(problems):
        score, windows = found.get(i, (None, 0))
        if problem is None and scorer is not None:
            problem = "too_long" if score is None else "low_quality" if score < threshold else None
        verdicts.append(QualityVerdict(score, problem, windows))
    return verdicts


def score_pairs(pairs: Sequence[Pair], scorer: Scorer) -> list[tuple[float | None, int]]:
    """Score and number of windows of each pair; the score is None if no window fits the encoder."""
    groups = cut_windows(pairs, scorer)
    flat = scorer.score([window for group in groups for window in group])
    scores: list[tuple[float | None, int]] = []
    start = 0
    for group in groups:
        part = flat[start : start + len(group)]
        start += len(group)
        scores.append((sum(part) / len(part) if part else None, len(part)))
    return scores


def cut_windows(pairs: Sequence[Pair], scorer: Scorer) -> list[list[Pair]]:
    """Cut each pair into windows that fit the encoder; no windows if that is not possible.

    Both sides are cut between sentences at the same relative length: a translation follows its source sentence by
    sentence, but not always with the same number of sentences.
    """
    groups = [[pair] for pair in pairs]
    atoms: dict[int, list[list[str]]] = {}
    open_groups = list(range(len(pairs)))
    while open_groups:
        lengths = iter(scorer.count([window for i in open_groups for window in groups[i]]))
        too_long = [i for i in open_groups if max([next(lengths) for _ in groups[i]]) > scorer.max_tokens]
        for i in too_long:
            if i not in atoms:
                atoms[i] = [_atoms(side) for side in pairs[i]]
            count = len(groups[i]) + 1
            fits = count <= min(map(len, atoms[i]))
            groups[i] = list(zip(*(_share(side, count) for side in atoms[i]), strict=True)) if fits else []
        open_groups = [i for i in too_long if groups[i]]
    return groups


def _atoms(text: str) -> list[str]:
    """The smallest units of a cut: sentences; or parts of long sentences and of scripts without sentence marks."""
    return [part for sentence in split_sentences(text) for part in split_text(sentence, ATOM_CHARS)]


def _share(atoms: Sequence[str], count: int) -> list[str]:
    """Join atoms to `count` non-empty texts of about the same length."""
    total, seen = sum(map(len, atoms)), 0
    texts = [""] * count
    window = 0
    for number, atom in enumerate(atoms):
        middle = seen + len(atom) / 2
        due = min(count - 1, int(middle * count / total))
        left = len(atoms) - number  # remaining atoms, with this one
        if texts[window] and window < count - 1 and (window < due or left <= count - 1 - window):
            window += 1
        texts[window] += atom
        seen += len(atom)
    return [text.strip() for text in texts]
