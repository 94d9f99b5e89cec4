"""Match keywords against an answer: does the answer name what the picture shows?

A hit is a contiguous, in-order match of whole words. Substring search would miss القاهرة in بالقاهره
and find Huế in thuế; here words are compared as their language writes them:

- `exact`: the normalised tokens are equal.
- `stem`: the spelling dictionary has both as forms of one word, or, where it lacks one, one or two stemmings are equal;
  a word that is only a name must have its capital; Arabic without its proclitics; Korean and Thai, whose
  spacing is loose, by their letters without spaces, at morpheme or word boundaries and (Korean)
  with particles left out.
- `fuzzy`: also a word of five letters or more that is spelled a little differently.

With `plain`, diacritics do not count either: "u Nisu" names Niš. An Arabic compound may be written together or apart.
"""

from mella_hf.metrics.matching.answers import Mode, contains, distinct_keywords, keyword_hits

__all__ = ["Mode", "contains", "distinct_keywords", "keyword_hits"]
