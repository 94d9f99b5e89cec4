"""Count tokens in a sample of each split's texts, for the card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from mella_hf import languages
from mella_hf.errors import MellaError, MissingExtraError


@dataclass(frozen=True)
class TokenLengths:
    """How long the texts of a language are.

    Attributes:
        tokenizer: name and version of the metrics' tokenizer of the language, or why nothing was counted.
        splits: split -> (median, 90th percentile), in tokens.
        means: split -> mean, in tokens.
    """

    tokenizer: str
    splits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    means: Mapping[str, float] = field(default_factory=dict)


def token_lengths(code: str, samples: Mapping[str, Sequence[str]]) -> TokenLengths:
    """Count the tokens of each text with the tokenizer that the metrics use for the language.

    Args:
        samples: split -> its texts; a split without any is left out.
    """
    from mella_hf.text.tokens import tokenize, tokenizer_version

    if code not in languages.all_codes():
        return TokenLengths("not counted: the language has no entry in mella_hf.languages")
    try:
        name = tokenizer_version(languages.get_language(code).tokenizer)
        counts = {
            split: sorted(len(tokenize(text, code)) for text in texts) for split, texts in samples.items() if texts
        }
    except (MellaError, MissingExtraError) as error:
        return TokenLengths(f"not counted: {error}")
    return TokenLengths(
        name,
        {split: (_rank(found, 0.5), _rank(found, 0.9)) for split, found in counts.items()},
        {split: sum(found) / len(found) for split, found in counts.items()},
    )


def _rank(ordered: list[int], share: float) -> int:
    """The least value that at least `share` of the values do not exceed (nearest rank)."""
    return ordered[ceil(share * len(ordered)) - 1]
