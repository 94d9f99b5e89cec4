"""Load the weights and the processor of an image-text-to-text model whole, or say in one line why not.

The files of a model come from strangers. transformers meets damaged ones with errors of any kind, and where weights are
missing it only warns: they stay random, and every answer and every step of training would be noise.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mella_hf.answers.identity import from_cache_alone
from mella_hf.answers.processors import with_template
from mella_hf.errors import MellaError, first_line


def load_processor(name: str, *, revision: str | None = None, **settings: Any) -> Any:
    """The processor of a model, with a chat template.

    Args:
        name: a folder or a Hub id.
        settings: of the processor, in place of its own.

    Raises:
        MellaError: if it cannot be loaded or has no chat template.
    """
    from transformers import AutoProcessor

    with _loading("processor", name):
        processor: Any = AutoProcessor.from_pretrained(
            name, revision=revision, local_files_only=from_cache_alone(name), **settings
        )
        if not hasattr(processor, "image_processor"):
            raise MellaError(
                f"{name!r} has no image processor, as {type(processor).__name__} is for texts alone. Copy the "
                "processor_config.json or preprocessor_config.json of the model's repository there."
            )
    if processor.tokenizer.pad_token is None:  # as TRL does: batches are filled up with it, and it is masked
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return with_template(processor, name)


def load_weights(name: str, *, revision: str | None = None, **settings: Any) -> Any:
    """The model with all of its weights.

    Args:
        name: a folder or a Hub id.
        settings: of `from_pretrained`, such as `dtype`.

    Raises:
        MellaError: if it cannot be loaded, or a weight is missing or of another shape.
    """
    from transformers import AutoModelForImageTextToText
    from transformers.integrations import is_deepspeed_zero3_enabled

    with _loading("model", name):
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            name,
            revision=revision,
            local_files_only=from_cache_alone(name),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are told below
            **settings,
        )
    model, info = loaded
    if is_deepspeed_zero3_enabled():  # the report is not complete there
        return model
    missing = sorted(info["missing_keys"])
    wrong = sorted(str(one[0] if isinstance(one, tuple) else one) for one in info["mismatched_keys"])
    for what, names in (("are missing", missing), ("have another shape", wrong)):
        if names:
            raise MellaError(
                f"The weights of {name!r} are not whole: {len(names)} {what}, such as {names[0]}, and would be random. "
                "Download the model again, with its config.json."
            )
    return model


def check_padding(model: Any, processor: Any, name: str) -> None:
    """Raise MellaError if the model has no embedding for the pad token."""
    weight = model.get_input_embeddings().weight
    rows = getattr(weight, "ds_shape", weight.shape)[0]  # under ZeRO-3 the weight itself is empty
    pad = processor.tokenizer.pad_token_id
    if pad is not None and pad >= rows:
        raise MellaError(
            f"The pad token of {name!r} is {processor.tokenizer.pad_token!r} ({pad}), but the model has {rows} "
            "embeddings. Set pad_token in its tokenizer_config.json to a token that the model has, such as its "
            "eos_token."
        )


@contextmanager
def _loading(part: str, name: str) -> Iterator[None]:
    try:
        yield
    except (MellaError, MemoryError):
        raise
    except Exception as error:  # damaged files raise errors of any kind
        if type(error).__name__ == "OutOfMemoryError":
            raise
        raise MellaError(
            f"Cannot load the {part} of {name!r}: {first_line(error)} Give a Hub id or a folder with config.json, "
            "weights and processor files."
        ) from error
