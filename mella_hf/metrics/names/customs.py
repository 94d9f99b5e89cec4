"""Find dishes, feasts and customs, which are named though most languages write them small: "halászlé", "масленица".

The words are those of the language's file: `customs` in its table `[naming]`.
"""

from collections.abc import Iterator
from functools import cache, lru_cache

from mella_hf.languages import Language
from mella_hf.metrics.names.spans import Span, patterns
from mella_hf.metrics.names.thai_text import thai_words
from mella_hf.text.spelling import spelling
from mella_hf.text.tokens import arabic_bases, korean_morphemes, stem_words


def customs(text: str, language: Language) -> Iterator[Span]:
    """Spans of the dishes, feasts and customs in a text, the longest at each place."""
    naming = language.naming
    if not naming.customs and not naming.custom_heads:
        return
    if language.tokenizer == "kiwi":
        yield from _korean(text, language)
    elif language.tokenizer == "newmm":
        yield from _thai(text, language)
    else:
        yield from _worded(text, language)


def _worded(text: str, language: Language) -> Iterator[Span]:
    known = _phrases(language)
    words = list(patterns()["word"].finditer(text))
    forms = [_forms(match.group(), language) for match in words]
    for at in range(len(words)):
        candidates = [phrase for form in forms[at] for phrase in known.get(form, ())]
        for phrase in sorted(candidates, key=len, reverse=True):
            end = at + len(phrase)
            if end > len(words) or any(part not in forms[at + n] for n, part in enumerate(phrase)):
                continue
            if all(text[words[n].end() : words[n + 1].start()] == " " for n in range(at, end - 1)):
                yield Span(words[at].start(), words[end - 1].end())
                break


@cache
def _phrases(language: Language) -> dict[str, list[tuple[str, ...]]]:
    """The words of each custom, normalised, by the first."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for custom in language.naming.customs:
        phrase = tuple(map(language.normalizer, patterns()["word"].findall(custom)))
        found.setdefault(phrase[0], []).append(phrase)
        # A stem stands for the word where no dictionary knows its base form.
        stems = tuple(stem_words(list(phrase), language.stemmer))
        if len(phrase) == 1 and language.stemmer != "arabic":
            found.setdefault(_STEM + stems[0], []).append((_STEM + stems[0],))
    return found


_STEM = "stem:"


@lru_cache(maxsize=1 << 14)
def _forms(word: str, language: Language) -> frozenset[str]:
    """What a word may be a form of."""
    normalized = language.normalizer(word)
    if language.stemmer == "arabic":
        return frozenset(arabic_bases(normalized))
    dictionary = spelling(language)
    lemmas = frozenset[str]() if dictionary is None else dictionary.lemmas(word, False)
    forms = {normalized, *map(language.normalizer, lemmas)}
    if language.stemmer is not None and forms == {normalized}:
        forms.add(_STEM + stem_words([normalized], language.stemmer)[0])
    return frozenset(forms)


def _korean(text: str, language: Language) -> Iterator[Span]:
    """Nouns that touch are one word: 강릉단오제, 김치찌개."""
    naming, start, end = language.naming, 0, 0
    for match in patterns()["word"].finditer(text):  # those that are no noun for Kiwi: 부처님오신날
        longest = max(
            (c for c in naming.customs if len(c) >= _WHOLE and match.group().startswith(c)), key=len, default=""
        )
        if longest:
            yield Span(match.start(), match.start() + len(longest))
    for morpheme in [*korean_morphemes(text), None]:
        if morpheme is not None and morpheme.tag.startswith(_NOUN_TAGS):
            if morpheme.start == end > start:
                end = morpheme.end
                continue
            following = morpheme.start, morpheme.end
        else:
            following = 0, 0
        word = text[start:end]
        if word in naming.customs or any(word.endswith(head) and word != head for head in naming.custom_heads):
            yield Span(start, end)
        start, end = following


_WHOLE = 3  # syllables of a custom that begins no other word
_NOUN_TAGS = ("NN", "XPN", "XSN", "XR", "SL", "SN")  # Sejong tags


def _thai(text: str, language: Language) -> Iterator[Span]:
    words = thai_words(text)
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word))
    for at in range(len(words)):
        for end in range(min(len(words), at + _LONGEST), at, -1):
            if "".join(words[at:end]) in language.naming.customs:
                yield Span(starts[at], starts[end])
                break


_LONGEST = 5  # tokens of a dish
