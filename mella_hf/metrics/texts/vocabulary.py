"""Number the tokens of texts, and look up whether each is a word and what its stem is.

Each token is analysed once, when it is first seen, and looked up in a table afterwards: most words of a 258-word
caption have occurred in earlier captions.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import count, islice

import numpy as np

from mella_hf.text.tokens import is_word, stem_words


class Vocabulary:
    """Numbers tokens; equal tokens always get the same number from one vocabulary.

    Args:
        stemmer: name of a Snowball algorithm, or None where words are their own stems.
    """

    def __init__(self, stemmer: str | None = None):
        self.stemmer = stemmer
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._stem_numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._is_word = np.empty(0, dtype=bool)
        self._stem = np.empty(0, dtype=np.int64)

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """[n] non-negative integers for n tokens."""
        return np.array(list(map(self._numbers.__getitem__, tokens)), dtype=np.int64)

    def words(self, numbers: np.ndarray) -> np.ndarray:
        """Those of the numbers that are words', in order."""
        self._learn()
        return numbers[self._is_word[numbers]]

    def stems(self, words: np.ndarray) -> np.ndarray:
        """[n] numbers of the stems of n words; the array itself where words are their own stems."""
        if self.stemmer is None:
            return words
        self._learn()
        return self._stem[words]

    def _learn(self) -> None:
        """Bring the tables up to the tokens met since."""
        new = list(islice(self._numbers, len(self._is_word), None))
        if not new:
            return
        self._is_word = np.append(self._is_word, np.fromiter(map(is_word, new), dtype=bool, count=len(new)))
        if self.stemmer is not None:
            stems = map(self._stem_numbers.__getitem__, stem_words(new, self.stemmer))
            self._stem = np.append(self._stem, np.fromiter(stems, dtype=np.int64, count=len(new)))
