"""The definition of a sound record, for building, writing, verifying, publishing and training.

`text_problem` and `sound_columns` give a reason that can be counted, `check_sample` raises an error. What an image must
be says `mella_hf.images.opening`.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import regex
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mella_hf.errors import SampleError
from mella_hf.sample import COLUMNS, iso_time, sha256_hex

_TEXT_BYTES = 1 << 20  # a text longer than 1 MiB is a broken page, not an answer
_KEYS = frozenset(COLUMNS)
_ADDRESS = re.compile(r"https?://[^\s/?#\\\x00-\x20]+", re.IGNORECASE)
# Neither white space nor control characters, nor what Unicode says to ignore (zero width, joiners, Hangul fillers,
# tags), nor the empty Braille pattern.
_VISIBLE = regex.compile(r"[^\p{Z}\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800\ufffc]")
# Control tokens of Qwen, InternVL, Llama, Gemma, Mistral, DeepSeek, BERT and LLaVA models. Tokenizers turn such text
# into the tokens themselves: an answer with `<|im_end|>` ends there, and `<|image_pad|>` stands for one image too many.
_CONTROL_TOKEN = re.compile(
    r"<[|｜][^<>|｜\s]{1,64}[|｜]>"
    r"|</?(?:s|bos|eos|unk|pad|mask|cls|sep|image|video|audio|img|ref|box|quad|tool_call|tool_response|think)>"
    r"|<(?:IMG_CONTEXT|image_soft_token|audio_soft_token|start_of_turn|end_of_turn|start_of_image|end_of_image"
    r"|fim_prefix|fim_middle|fim_suffix|unused\d{1,4}|extra_id_\d{1,4}|reserved_\d{1,4})>"
    r"|\[/?(?:INST|IMG|IMG_BREAK|IMG_END|PAD|CLS|SEP|MASK|UNK|BOS|EOS|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS"
    r"|SYSTEM_PROMPT|gMASK)\]"
    r"|<</?SYS>>"
)


def is_address(url: str | None) -> bool:
    """Whether a text is an http address, with a host, in any case."""
    return url is not None and _ADDRESS.match(url) is not None


def _check_address(url: str) -> str:
    if not is_address(url):
        raise ValueError("not an http address; local paths stay at home")
    return url


Address = Annotated[str, AfterValidator(_check_address)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class SourceColumns(BaseModel):
    """What a source may say of a record beside its image and text. No value is null."""

    model_config = ConfigDict(strict=True, extra="ignore")

    page_url: Address | None = None
    image_url: Address | None = None
    domain: str | None = None
    category: list[str] | None = None
    entity: str | None = None
    keywords: list[str] | None = None
    caption_en: str | None = None
    captioner: str | None = None
    translator: str | None = None
    qe_score: Score | None = None
    qe_model: str | None = None
    review: Literal["accepted", "edited"] | None = None
    license: str | None = None
    collected_at: Annotated[datetime, Field(strict=False), AfterValidator(iso_time)] | None = None
    relevance: Score | None = None
    relevance_model: str | None = None
    keywords_by: str | None = None


def sound_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `SourceColumns` that a row has, with their types; others are left out.

    Raises:
        ValidationError: see `first_problem`.
    """
    found = SourceColumns.model_validate(row)
    return {name: found.__dict__[name] for name in found.model_fields_set}


def first_problem(error: ValidationError) -> tuple[str, str]:
    """(column, what is wrong with its value) of the first thing that a schema finds."""
    first = error.errors(include_url=False)[0]
    column = ".".join(str(part) for part in first["loc"])
    return column, f"is {ascii(first['input'])[:80]}: {first['msg'].removeprefix('Value error, ')}"


def check_sample(row: Mapping[str, Any], language: str, split: str, *, verify_id: bool = True) -> None:
    """Raise SampleError, naming the column and the value, unless a record may be written.

    Args:
        verify_id: also compute the sha256 of the image and compare it with `id`.
    """
    if row.keys() != _KEYS:
        missing, unknown = sorted(_KEYS - row.keys()), sorted(row.keys() - _KEYS)
        raise SampleError(f"A record has the columns of mella_hf.sample; missing {missing}, unknown {unknown}.")
    image = row["image"]
    if not isinstance(image, Mapping) or not isinstance(image.get("bytes"), bytes) or not image["bytes"]:
        raise bad_record(row, "image", "has no bytes; a record carries the encoded image itself, never a path or a URL")
    if image.get("path") is not None:
        raise bad_record(row, "image", f"carries the path {image['path']!r}, which readers would open; set it to None")
    if verify_id and row["id"] != sha256_hex(image["bytes"]):
        raise bad_record(
            row, "id", "is not the sha256 of the image bytes; make records with mella_hf.sample.make_sample"
        )
    if row["language"] != language:
        raise bad_record(row, "language", f"is {row['language']!r} in a shard of {language!r}")
    if row["source"] != split.removesuffix("_test"):
        raise bad_record(row, "source", f"is {row['source']!r} in the split {split!r}")
    try:
        sound_columns(row)
    except ValidationError as error:
        raise bad_record(row, *first_problem(error)) from error
    for side in ("width", "height"):
        if not isinstance(row[side], int) or row[side] <= 0:
            raise bad_record(row, side, f"is {row[side]!r}; give pixels, as the image decodes")
    reason = text_problem(row["text"])
    if reason is not None:
        raise bad_record(row, "text", f"is unfit ({reason}); drop or clean the sample, with that reason")


def text_problem(text: Any) -> str | None:
    """Why a text must not be written, as a drop reason, or None. Bidi controls are left: they can be right."""
    if not isinstance(text, str) or _VISIBLE.search(text) is None:
        return "text_missing"
    if "\0" in text:
        return "text_nul"
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return "text_lone_surrogate"
    if size > _TEXT_BYTES:
        return "text_too_long"
    if ("<" in text or "[" in text) and _CONTROL_TOKEN.search(text):
        return "text_control_token"
    return None


def bad_record(row: Mapping[str, Any], column: str, problem: str) -> SampleError:
    """The error that names a record, its column and what is wrong with it."""
    return SampleError(f"Record {str(row.get('id'))[:12]!r}, column {column!r}: {problem}.")
