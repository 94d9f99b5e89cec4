"""Say how well a language is supported: who wrote its prompts, and which tools know it."""

from dataclasses import dataclass

from mella_hf.languages.language import Language
from mella_hf.languages.sources import judge_of, table

_PROMPTS = {"speaker": "by speakers", "draft": "drafted by a machine", "english": "English"}
_WORDS = {
    "words": "spaces",
    "icu": "ICU's dictionaries",
    "kiwi": "Kiwi (morphemes)",
    "newmm": "PyThaiNLP newmm",
    "none": "none: the metric refuses it",
}
_NAMES = {
    "capitals": "capital letters",
    "kiwi": "Kiwi's proper nouns",
    "newmm": "PyThaiNLP's dictionary",
    "rare": "words that nobody says every day",
    "none": "none",
}
_JUDGES = {"cometkiwi": "COMETKiwi", "africomet": "AfriCOMET", None: "none"}


@dataclass(frozen=True)
class Standing:
    """What an entry rests on, each in a few words.

    Attributes:
        prompts: who wrote them.
        identification: what tells a text's language: py3langid, GlotLID alone, its script, or nothing.
        words: how a text is cut into words.
        stemmer: Snowball's algorithm, or "none".
        names: how names are found in alt-texts, for `keywords`.
        judge: the quality-estimation model whose encoder read the language.
        translators: services and models that translate into it.
    """

    prompts: str
    identification: str
    words: str
    stemmer: str
    names: str
    judge: str
    translators: str

    @property
    def sentence(self) -> str:
        """All of it as one sentence, for cards and reports."""
        return (
            f"Prompts: {self.prompts}; identification: {self.identification}; words: {self.words}; "
            f"stemmer: {self.stemmer}; names: {self.names}; judge: {self.judge}; translators: {self.translators}."
        )


def standing(language: Language) -> Standing:
    """What a language's entry rests on."""
    return Standing(
        prompts=_PROMPTS[language.prompts_by],
        identification=_identification(language),
        words=_WORDS[language.tokenizer],
        stemmer=language.stemmer or "none",
        names=_NAMES[language.names],
        judge=_JUDGES[judge_of(language.code)],
        translators=", ".join(service for service, _ in language.translation) or "none",
    )


def _identification(language: Language) -> str:
    if not (language.lid | {language.code}).isdisjoint(table("py3langid")):
        return "py3langid"
    if language.own_scripts:
        return "its script"
    if language.code in {*table("nllb"), *table("glotlid")} or any("_" in label for label in language.lid):
        return "GlotLID alone"
    return "none"
