"""Find names by a token-classification model of transformers, in any language that the model knows.

The rules of `mella_hf.metrics.names.keywords` need no model. A model of the language finds more, and a GPU makes it
quick.
"""

from collections.abc import Sequence
from typing import Any

from mella_hf.errors import MellaError, MissingExtraError

_BATCH = 32
_LONGEST = 512  # tokens at once, where neither the model nor its tokenizer names a limit
# What models of OntoNotes and ThaiNER mark beside names.
_NO_NAMES = ("DATE", "TIME", "MONEY", "PERCENT", "CARDINAL", "ORDINAL", "QUANTITY", "LEN")


class Recogniser:
    """A model that marks the names in texts.

    Args:
        model: folder or Hub id of a token-classification model, such as one of WikiANN or OntoNotes.
        revision: branch, tag or commit on the Hub.

    Raises:
        MellaError: for a model that cannot be loaded, or that is not for token classification.
        MissingExtraError: without transformers and torch.
    """

    def __init__(self, model: str, revision: str | None = None):
        try:
            import torch
            from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline
        except ImportError as error:
            raise MissingExtraError(error.name or "transformers", "train", "Finding names by a model") from error
        self.model = model
        try:
            loaded = AutoModelForTokenClassification.from_pretrained(model, revision=revision)
            tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
        except (OSError, ValueError) as error:
            raise MellaError(
                f"{model} cannot be loaded as a token-classification model: {error}. Give a model that the Hub files "
                "under the task token-classification, or its folder."
            ) from error
        labels = set(loaded.config.id2label.values())
        if not any(label.startswith(("B-", "I-")) for label in labels):
            raise MellaError(
                f"{model} has the labels {', '.join(sorted(map(str, labels))[:6])}, none of which begins with B- or "
                "I-; give a model that was trained to recognise names."
            )
        tokenizer.model_max_length = _longest(loaded.config, tokenizer)
        self._pipeline: Any = pipeline(
            "token-classification",
            model=loaded,
            tokenizer=tokenizer,
            aggregation_strategy="first",  # a name ends where a word ends
            # A longer text is read in windows that overlap.
            stride=tokenizer.model_max_length // 4 if tokenizer.is_fast else None,
            device=0 if torch.cuda.is_available() else -1,
        )

    def names(self, texts: Sequence[str]) -> list[list[str]]:
        """The names in each text, as written there, in order, each once."""
        asked = [text for text in texts if text.strip()]  # the model cannot be asked about nothing
        marks = dict(zip(asked, self._pipeline(asked, batch_size=_BATCH), strict=True)) if asked else {}
        return [self._names(text, marks.get(text, ())) for text in texts]

    def _names(self, text: str, marks: Sequence[dict[str, Any]]) -> list[str]:
        spans = (text[m["start"] : m["end"]].strip() for m in marks if m["entity_group"].upper() not in _NO_NAMES)
        return list(dict.fromkeys(filter(None, spans)))


def _longest(config: Any, tokenizer: Any) -> int:
    """How many tokens the model reads at once."""
    positions = getattr(config, "max_position_embeddings", None) or 0
    known = positions - 2 if positions > 2 else _LONGEST  # RoBERTa leaves two unused
    return min(int(tokenizer.model_max_length), known)
