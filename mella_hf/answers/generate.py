"""Batched greedy generation with a local model; every run gives the same answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.answers import Keep, Turn
from mella_hf.answers.attention import no_plans
from mella_hf.answers.predictions import answer_rows
from mella_hf.answers.records import Answer, ModelIdentity
from mella_hf.errors import MellaError

if TYPE_CHECKING:
    from datasets import Dataset


class LocalModel:
    """A model in this process as `mella_hf.answers.answers.Answerer`.

    Args:
        model, processor: as `mella_hf.answers.models.load_model` gives them.
    """

    batched = True
    notes: Mapping[str, str] = {}

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

    def answer(self, turns: Iterable[Turn], max_new_tokens: int, at_once: int, keep: Keep) -> None:
        """Answer all turns, `at_once` per batch."""
        answer_turns(self.model, self.processor, turns, max_new_tokens, at_once, keep)


def generate(
    model: Any, processor: Any, rows: "Dataset", *, identity: ModelIdentity, out: Path | str, **options: Any
) -> Path:
    """`answer_rows` with a model in this process; it has the same options and errors.

    Args:
        model, processor: as `mella_hf.answers.models.load_model` gives them.
    """
    return answer_rows(LocalModel(model, processor), rows, identity=identity, out=out, **options)


def answer_batch(model: Any, processor: Any, images: Sequence[Any], prompt: str, max_new_tokens: int) -> list[Answer]:
    """Greedy answers about RGB images in one batch: {"prediction", "truncated"} for each."""
    answers: dict[int, Answer] = {}
    turns = [([image], prompt) for image in images]
    answer_turns(model, processor, turns, max_new_tokens, len(turns), answers.__setitem__)
    return [answers[i] for i in range(len(turns))]


@no_plans()
def answer_turns(
    model: Any, processor: Any, turns: Iterable[Turn], max_new_tokens: int, at_once: int, keep: Keep
) -> None:
    """Answer turns greedily, `at_once` per batch; call `keep(i, answer)` as soon as turn i is finished.

    Args:
        turns: RGB images and a prompt; read lazily.
    """
    from mella_hf.answers.decode import can_decode, decode

    stops = stop_token_ids(model, processor)

    def encode(taken: Sequence[Turn]) -> Mapping[str, Any]:
        inputs = processor.apply_chat_template(
            [_conversation(*turn) for turn in taken],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},  # all answers start at the same position
        )
        return inputs.to(model.device, dtype=model.dtype)  # casts the pixels but not the token ids

    def keep_tokens(i: int, tokens: list[int]) -> None:
        text = processor.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        keep(i, {"prediction": text, "truncated": tokens[-1] not in stops})

    way = decode if can_decode(model) else _decode_by_generate
    way(model, encode, turns, at_once=at_once, limit=max_new_tokens, stops=stops, keep=keep_tokens)


def _decode_by_generate(
    model: Any,
    encode: Callable[[Sequence[Turn]], Mapping[str, Any]],
    prompts: Iterable[Turn],
    *,
    at_once: int,
    limit: int,
    stops: Sequence[int],
    keep: Callable[[int, list[int]], None],
) -> None:
    """Replaces `decode` for models that it does not support; each batch waits for its longest answer."""
    import torch
    from transformers import GenerationConfig

    config = GenerationConfig(
        max_new_tokens=limit,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=list(stops),
        pad_token_id=stops[0],  # tokens after a stop are cut off
        # Unset options come from the checkpoint, and chat checkpoints set penalties.
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
    )
    waiting = enumerate(prompts)
    while taken := list(islice(waiting, at_once)):
        inputs = encode([prompt for _, prompt in taken])
        with torch.inference_mode():
            tokens = model.generate(**inputs, generation_config=config)
        for (i, _), answer in zip(taken, tokens[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            end = next((at for at, token in enumerate(answer, 1) if token in stops), len(answer))
            keep(i, answer[:end])


def _conversation(images: Sequence[Any], prompt: str) -> list[dict[str, Any]]:
    """One user turn: the image or images, then the prompt."""
    pictures = [{"type": "image", "image": image} for image in images]
    return [{"role": "user", "content": [*pictures, {"type": "text", "text": prompt}]}]


def stop_token_ids(model: Any, processor: Any) -> list[int]:
    """The tokens that end an answer, from checkpoint and tokenizer. Raises MellaError if there are none."""
    listed = model.generation_config.eos_token_id
    stops = list(listed) if isinstance(listed, list) else [listed]
    stops.append(processor.tokenizer.eos_token_id)
    known = list(dict.fromkeys(token for token in stops if token is not None))
    if not known:
        raise MellaError(
            f"The model {model.config.name_or_path!r} has no end-of-sequence token, so no answer would ever end; "
            "set eos_token in its tokenizer_config.json."
        )
    return known
