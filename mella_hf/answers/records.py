"""What a system said, as it stands in the files of a run."""

from typing import TypedDict


class Answer(TypedDict):
    """The answer to one question. `truncated` says whether it was cut off at the limit."""

    prediction: str
    truncated: bool


class Prediction(Answer):
    """The answer about one test image, with the sample that it is scored against.

    Attributes:
        id: of the image.
        language, source: of the sample, such as "th" and "know".
        prompt: the question as it was asked.
        reference: the sample's text.
        keywords: names that the answer should say; None if the sample has none.
        keywords_by: how the keywords were found; None if the dataset does not say.
        category, entity, domain: what the dataset knows about the image.
        seen: whether training shows the entity; None if that is unknown.
    """

    id: str
    language: str
    source: str
    prompt: str
    reference: str
    keywords: list[str] | None
    keywords_by: str | None
    category: list[str] | None
    entity: str | None
    domain: str | None
    seen: bool | None
