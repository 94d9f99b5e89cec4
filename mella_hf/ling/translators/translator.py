"""The interface of a translator: a list of texts in one language to as many texts in another."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable


class Translator(Protocol):
    """A translation service or model.

    Attributes:
        name: what provenance columns say of it, such as "deepl" or "facebook/nllb-200-3.3B".
        version: changes when the same text may come out otherwise; part of the key of the request cache.
        max_chars: characters that one text may have; longer ones are split before they are passed.
        batch_size: texts that one request carries.
    """

    name: str
    version: str
    max_chars: int
    batch_size: int

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """One translation for each text, in order; "" where the service has none.

        Args:
            texts: in the language `source`.
            source: code of `mella_hf.languages`, or "en".
            target: the same, for the translation.
        """
        ...


@runtime_checkable
class StreamingTranslator(Translator, Protocol):
    """A translator that sends its own requests at once, and gives each translation as soon as it arrives."""

    def translate_each(
        self, texts: Sequence[str], source: str, target: str, on_translation: Callable[[int, str], None]
    ) -> None:
        """Translate texts; `on_translation` gets the index and the translation of each, "" where there is none."""
        ...
