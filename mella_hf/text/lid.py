"""Language identification: the ISO 639-1 code of a text and its probability.

Uses all labels of the identifier (`mella_hf.text.identifiers`). If it had to choose among a few languages only, it
would call English one of them. All stages share this one policy, so a text that the alt-text filter keeps is never
wrong-language for the metric.
"""

from collections.abc import Iterable
from functools import lru_cache

from mella_hf.languages import Language, get_language
from mella_hf.languages.scripts import letters_of
from mella_hf.text.identifiers import identifier, identifier_name, other_labels

ENGLISH = "en"
UNKNOWN = "und"  # ISO 639-2: undetermined
LONG = 40  # letters from which the best label is right: no error on 240 native captions
LIKELY = 0.5  # of the best other language's probability, for a short text
LIKELY_DECLARED = 0.2  # the same where the page says it is in this language
SCRIPT_SHARE = 0.5  # of the letters
_EXCERPT = 60  # characters
# Letters of a text -> log-odds from which another language's lead counts. Of 500 names that Unicode CLDR has in each
# of eight languages it costs at most 1.0% of the native ones at any length; of the English names it catches, as
# cs, hu and vi, 7-24% under 12 letters, 83-99% under 25, and all that are longer.
FOREIGN_LOG_ODDS = ((12, 5.0), (25, 2.5), (LONG, 1.0))
NAMES_SHARE = 0.2  # of the letters; a text with fewer outside its names is nothing but names


def identify(text: str) -> tuple[str, float]:
    """The most likely language of a text.

    Returns:
        (label, probability in [0, 1]): an ISO 639-1 label, or ("und", 0.0) for a text without letters.
    """
    if not any(map(str.isalpha, text)):
        return UNKNOWN, 0.0
    return _identify(text, identifier_name())


@lru_cache(maxsize=8)  # the label and the verdict on one text are asked for one after the other
def _identify(text: str, name: str) -> tuple[str, float]:
    return identifier().best(text)


@lru_cache(maxsize=512)
def labels_of(language: Language) -> frozenset[str]:
    """The labels that count as a language, whichever identifier is in use."""
    return language.lid | {language.code} | other_labels(language.code)


def is_identifiable(language: Language) -> bool:
    """Whether the identifier in use has a label for the language."""
    return not labels_of(language).isdisjoint(identifier().labels)


def is_language(text: str, code: str, *, declared: str | None = None) -> bool:
    """Whether a text is in the language `code`.

    At least half of its letters must be in the language's scripts. A text of 40 letters or more must
    get one of the labels that the language's entry lists. A shorter one is ambiguous: of native captions
    under 20 letters, one Czech in four gets another label than cs, most often sk. So its language,
    with the siblings that only longer text tells apart, must be half as likely as the best other
    language, or a fifth as likely when the page declares it. (Of 4,440 native captions in eight languages this
    keeps 95%, in Hungarian 82%; of 627 English ones it takes none for ar, ko, ru, th or vi, 7% for hu, 15% for sr.)

    Of a language that the identifier has no label for, a text in its script passes unless it is English or declared to
    be another; a letter of a script that only this language is written in is enough.

    Serbian in Latin script comes out as hr, bs or sh as often as sr: these are candidates, which
    count unless `declared` speaks against them.

    Args:
        declared: what the page says its language is (`lang` attribute, or "sr" for a .rs domain).
    """
    language = get_language(code)
    letters = letter_count(text)
    if not letters or script_share(text, language.scripts) < SCRIPT_SHARE:
        return False
    says = None if declared is None else declared.lower().replace("_", "-").split("-")[0]
    label, _ = identify(text)
    if not is_identifiable(language):
        return in_own_script(text, language) or (label != ENGLISH and (says is None or says == code))
    if label != code and label in language.lid and says is not None and says != code:
        return False
    accepted = labels_of(language)
    if letters >= LONG:
        return label in accepted
    if not set(language.foreign_letters).isdisjoint(text.lower()):
        return False
    accepted |= language.siblings
    ranked = identifier().rank(text)
    ours = sum(ranked.get(name, 0.0) for name in accepted)
    best_other = max((share for name, share in ranked.items() if name not in accepted), default=0.0)
    return ours >= (LIKELY_DECLARED if says == code else LIKELY) * best_other


def foreign_log_odds(text: str, code: str, *, against: str | None = None) -> float:
    """How much likelier another language is than `code`, as natural log odds; below 0 where `code` leads.

    The labels and siblings that `is_language` accepts count as `code`.

    Args:
        against: the label of the other language; the best other one by default. A language that the identifier has no
            label for can only be told from English.
    """
    import math

    language = get_language(code)
    ranked = identifier().rank(text)
    if not is_identifiable(language):  # all that can be said is whether it is English
        against, accepted = ENGLISH, frozenset(ranked) - {ENGLISH}
    else:
        accepted = labels_of(language) | language.siblings
    ours = sum(ranked.get(name, 0.0) for name in accepted)
    others = (probability for name, probability in ranked.items() if name not in accepted)
    other = max(others, default=0.0) if against is None else ranked.get(against, 0.0)
    return math.log(max(other, 1e-30)) - math.log(max(ours, 1e-30))


def is_foreign(text: str, language: str) -> bool:
    """Whether a text in the right script is evidently in another language.

    Long texts must be identified as the language. The shorter a text, the clearer another language must
    lead; a letter that the language does not write is enough to make any lead count. A script that only this language
    is written in, as Thai, needs no second opinion. English is not judged: it comes from sources that are English.
    """
    entry = get_language(language)
    if language == "en" or in_own_script(text, entry):
        return False
    letters = letter_count(text)
    runs = letters_of(entry.scripts).findall(text.lower()) if entry.letters else []
    strange = any(not c.isascii() and c not in entry.letters for run in runs for c in run)
    if strange or letters >= LONG:
        label = identify(text)[0]
        return label not in labels_of(entry) if is_identifiable(entry) else label == ENGLISH
    return foreign_log_odds(text, language) > next(odds for below, odds in FOREIGN_LOG_ODDS if letters < below)


def is_names_alone(text: str, names: Iterable[str] = ()) -> bool:
    """Whether a text is nothing but names, which do not show a language: "Ludwig van Beethoven, Wien".

    Words with a capital are names here, unless the whole text is in capitals.

    Args:
        names: further ones, as they stand in the text; those of scripts without capitals.
    """
    letters = letter_count(text)
    for name in names:
        text = text.replace(name, " ")
    if any(map(str.islower, text)):
        text = " ".join(word for word in text.split() if not any(map(str.isupper, word)))
    return letters > 0 and letter_count(text) <= NAMES_SHARE * letters


def excerpt(text: str) -> str:
    """Beginning, middle and end of a text: enough to tell its language, whatever its length."""
    if len(text) <= 3 * _EXCERPT:
        return text
    middle = (len(text) - _EXCERPT) // 2
    return f"{text[:_EXCERPT]} {text[middle : middle + _EXCERPT]} {text[-_EXCERPT:]}"


def letter_count(text: str) -> int:
    """Letters in a text, which is what identification has to go by."""
    return sum(map(str.isalpha, text))


def in_own_script(text: str, language: Language) -> bool:
    """Whether a text has a letter of a script in which no other language here is written."""
    return bool(language.own_scripts) and letters_of(language.own_scripts).search(text) is not None


def script_share(text: str, scripts: tuple[str, ...]) -> float:
    """The share of a text's letters that are in one of the scripts (ISO 15924 codes); 1 without letters."""
    letters = letter_count(text)
    if not letters:
        return 1.0
    found = sum(map(len, letters_of(scripts).findall(text)))
    return float(found / letters)
