"""Convert the sentencepiece model of an InternLM2 tokenizer to a fast tokenizer with the same ids.

The original tokenizer is remote code around sentencepiece. The rules come from `InternLM2Converter` in the repository's
tokenization_internlm2_fast.py; everything else is read from the sentencepiece model.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.compat import bpe_merges, sentencepiece_model
from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.training.internvl2.original import OriginalTokenizer, read_tokenizer_config

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer
    from transformers import PreTrainedTokenizerFast

MODEL = "tokenizer.model"
CONFIG = "tokenizer_config.json"
# The processor's names for the tokens around and of an image.
IMAGE_TOKENS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
}
_NEEDED = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", *IMAGE_TOKENS.values())
_BPE = 2  # sentencepiece's TrainerSpec.ModelType
_NORMAL, _USER_DEFINED = 1, 4  # sentencepiece's SentencePiece.Type


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """The tokenizer of an original InternVL2 folder, as a fast one.

    Raises:
        MellaError: if a file is missing or not a BPE model, or a token of the chat or image format has no id.
        MissingExtraError: without protobuf.
    """
    from transformers import PreTrainedTokenizerFast

    proto = _read_model(folder / MODEL)
    config = read_tokenizer_config(folder / CONFIG)
    tokenizer = build_tokenizer(proto, _added_tokens(config))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        extra_special_tokens={**IMAGE_TOKENS, "video_token": _stand_in_for_video(proto)},
        model_max_length=int(config.model_max_length),
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def build_tokenizer(proto: Any, added: dict[int, "AddedToken"]) -> "Tokenizer":
    """The pipeline: normaliser, BPE with byte fallback, decoder, and `<s>` in front of every text."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors

    pieces = [piece.piece for piece in proto.pieces]
    for index, token in added.items():
        if index < len(pieces):
            pieces[index] = token.content
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    scores = {piece: entry.score for piece, entry in zip(pieces, proto.pieces, strict=True)}
    whole = {piece for piece, entry in zip(pieces, proto.pieces, strict=True) if entry.type != _NORMAL}
    merges = bpe_merges(vocabulary, scores, skip=whole | {token.content for token in added.values()})
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token=proto.trainer_spec.unk_piece, fuse_unk=True, byte_fallback=True)
    )
    user_defined = [i for i, piece in enumerate(proto.pieces) if piece.type == _USER_DEFINED and i not in added]
    tokenizer.add_tokens([AddedToken(pieces[i], normalized=False) for i in user_defined])
    tokenizer.add_special_tokens([added[index] for index in sorted(added)])
    for index, token in added.items():
        found = tokenizer.token_to_id(token.content)
        if found != index:
            raise MellaError(
                f"{CONFIG} gives {token.content!r} the id {index}, but it would get {found}. "
                "Download the tokenizer files again."
            )
    _check_tokens(tokenizer)
    spec = proto.normalizer_spec
    steps: list[Any] = [normalizers.Precompiled(spec.precompiled_charsmap)] if spec.precompiled_charsmap else []
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    steps += [normalizers.Prepend("▁")] if spec.add_dummy_prefix else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if spec.add_dummy_prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B:1", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return tokenizer


def _check_tokens(tokenizer: "Tokenizer") -> None:
    missing = [token for token in _NEEDED if tokenizer.token_to_id(token) is None]
    if missing:
        raise MellaError(
            f"The tokenizer has no token {missing[0]!r}; download {MODEL} and {CONFIG} again, or add it to "
            f"added_tokens_decoder in {CONFIG}."
        )


def _read_model(path: Path) -> Any:
    """The sentencepiece model, as the protocol buffer that it is."""
    from google.protobuf.message import DecodeError

    try:
        proto = sentencepiece_model()
    except ImportError as error:
        raise MissingExtraError("protobuf", "internvl2", "Reading a sentencepiece model") from error
    if not path.is_file():
        raise MellaError(f"The checkpoint has no {path.name}: {path} is missing; download it from the model's repo.")
    try:
        proto.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise MellaError(
            f"{path} is not a sentencepiece model ({error}). The file may be incomplete or a Git LFS pointer; "
            "download it again."
        ) from error
    if not all(isinstance(piece.piece, str) for piece in proto.pieces):  # bytes, where they are no UTF-8
        raise MellaError(f"{path} has pieces that are not UTF-8; download it again.")
    if proto.trainer_spec.model_type != _BPE or not proto.trainer_spec.byte_fallback:
        raise MellaError(
            f"{path} is not a BPE model with byte fallback, as InternLM2's is. Use the model's own tokenizer files."
        )
    return proto


def _added_tokens(config: OriginalTokenizer) -> dict[int, "AddedToken"]:
    """Tokens that the configuration adds to the model's pieces or renames, by id."""
    from tokenizers import AddedToken

    return {
        index: AddedToken(
            token.content,
            normalized=False,
            single_word=token.single_word,
            lstrip=token.lstrip,
            rstrip=token.rstrip,
            special=token.special,
        )
        for index, token in config.added_tokens_decoder.items()
    }


def _stand_in_for_video(proto: Any) -> str:
    """An unused token. The processor needs one for videos, and a new token would have no embedding."""
    unused = (piece.piece for piece in proto.pieces if piece.piece.startswith("[UNUSED_TOKEN_"))
    return next(unused, "<quad>")
