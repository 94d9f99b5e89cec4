"""Count in how many alt-texts of a corpus each word occurs; the rules for names improve with it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mella_hf.languages import get_language
from mella_hf.metrics.names.spans import words_of
from mella_hf.text.tokens import analyze

COMMON_SHARE = 0.02  # share of the documents; a word in more of them is not a name
RARE_SHARE = 0.0005  # share of the documents; in scripts without case, a word in fewer of them may be a name
MIN_DOCUMENTS = 1000  # with fewer documents the two shares mean nothing


@dataclass(frozen=True)
class DocumentFrequencies:
    """The number of a corpus's alt-texts in which each word occurs.

    Attributes:
        documents: number of alt-texts counted.
        words: normalised word -> alt-texts that have it.
        lowercase: words seen without a capital, which are not names when one starts a sentence.
    """

    documents: int
    words: Counter[str]
    lowercase: frozenset[str]

    @classmethod
    def count(cls, texts: Iterable[str], language: str) -> "DocumentFrequencies":
        """Count a corpus of alt-texts once."""
        entry = get_language(language)
        words: Counter[str] = Counter()
        lowercase: set[str] = set()
        documents = 0
        for text in texts:
            documents += 1
            words.update(set(analyze(text, entry).words))
            lowercase.update(entry.normalizer(word) for word in words_of(text) if word[0].islower())
        return cls(documents, words, frozenset(lowercase))

    def is_common(self, words: list[str]) -> bool:
        """Whether every one of these words occurs in very many documents."""
        return self.documents >= MIN_DOCUMENTS and all(
            self.words[word] > COMMON_SHARE * self.documents for word in words
        )

    def is_rare(self, word: str) -> bool:
        """Whether the word occurs in very few."""
        return self.documents >= MIN_DOCUMENTS and self.words[word] <= max(1.0, RARE_SHARE * self.documents)
