"""A model and images go in, greedy answers leave: in batches, the same on every run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.evaluation.predictions import (
    MAX_NEW_TOKENS,
    Keep,
    answer_rows,
    plan_batches,
    read_meta,
    read_predictions,
)

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "MAX_NEW_TOKENS",
    "LocalModel",
    "answer_batch",
    "generate",
    "plan_batches",
    "read_meta",
    "read_predictions",
    "stop_token_ids",
]


class LocalModel:
    """A model in this process as `mella_hf.evaluation.predictions.Answerer`.

    Args:
        model, processor: as `mella_hf.evaluation.models.load_model` gives them.
    """

    batched = True

    def __init__(self, model: Any, processor: Any) -> None:
        import torch
        import transformers

        self.model, self.processor = model, processor
        self.facts: Mapping[str, str] = {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "device": model.device.type,
            "dtype": str(model.dtype),
        }
        self.parameters: int | None = model.num_parameters()

    def answer(self, images: Sequence[Any], prompt: str, max_new_tokens: int, keep: Keep) -> None:
        """The answers of a batch, computed together."""
        for i, answer in enumerate(answer_batch(self.model, self.processor, images, prompt, max_new_tokens)):
            keep(i, answer)


def generate(
    model: Any, processor: Any, rows: "Dataset", *, identity: Mapping[str, Any], out: Path | str, **options: Any
) -> Path:
    """`answer_rows` by a model in this process; options and errors are those.

    Args:
        model, processor: as `mella_hf.evaluation.models.load_model` gives them.
    """
    return answer_rows(LocalModel(model, processor), rows, identity=identity, out=out, **options)


def answer_batch(
    model: Any, processor: Any, images: Sequence[Any], prompt: str | Sequence[str], max_new_tokens: int
) -> list[dict[str, Any]]:
    """Greedy answers about RGB images: {"prediction", "truncated"} of each.

    Args:
        images: an image a turn, or a list of images a turn.
        prompt: of all turns, or one a turn.
    """
    import torch
    from transformers import GenerationConfig

    prompts = [prompt] * len(images) if isinstance(prompt, str) else prompt
    turns = [_turn(shown, asked) for shown, asked in zip(images, prompts, strict=True)]
    inputs = processor.apply_chat_template(
        turns,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "left"},  # answers start at the same position
    ).to(model.device, dtype=model.dtype)  # casts the pixels, leaves the token ids
    stops = stop_token_ids(model, processor)
    pad = processor.tokenizer.pad_token_id
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=stops,
        pad_token_id=stops[0] if pad is None else pad,
        # What is left unset comes from the checkpoint, and chat checkpoints ship penalties.
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
    )
    with torch.inference_mode():
        tokens = model.generate(**inputs, generation_config=config)
    answers = tokens[:, inputs["input_ids"].shape[1] :]  # [B, T]
    finished = torch.isin(answers, torch.tensor(stops, device=answers.device)).any(dim=1)  # [B]
    texts = processor.tokenizer.batch_decode(answers, skip_special_tokens=True)
    return [{"prediction": t.strip(), "truncated": not f} for t, f in zip(texts, finished.tolist(), strict=True)]


def _turn(shown: Any, prompt: str) -> list[dict[str, Any]]:
    """A conversation of one user turn: the image or images, then the prompt."""
    images = shown if isinstance(shown, list) else [shown]
    pictures = [{"type": "image", "image": image} for image in images]
    return [{"role": "user", "content": [*pictures, {"type": "text", "text": prompt}]}]


def stop_token_ids(model: Any, processor: Any) -> list[int]:
    """The tokens that end an answer: the checkpoint's and the tokenizer's. Raises MellaError where there are none."""
    listed = model.generation_config.eos_token_id
    stops = list(listed) if isinstance(listed, list) else [listed]
    stops.append(processor.tokenizer.eos_token_id)
    known = list(dict.fromkeys(token for token in stops if token is not None))
    if not known:
        raise MellaError(
            f"The model {model.config._name_or_path!r} has no end-of-sequence token, so no answer would ever end; "
            "set eos_token in its tokenizer_config.json."
        )
    return known
