"""Greedy decoding with continuous batching: a finished answer makes room for the next prompt.

`generate` of transformers runs a batch until its longest answer ends, and copies all keys and values to append those of
one token. Here a finished answer leaves the batch, a waiting prompt takes its place, and keys and values are written
into memory reserved in advance. The result is the same: the argmax of the model's logits.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.nn.functional import pad
from transformers.cache_utils import Cache, DynamicLayer

from mella_hf.compat import has_position_ids, position_ids

# Tested families: every layer attends to all earlier tokens, and each text token's position is one more than the last.
FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl")
ROOM = 64  # reserved tokens: keys and values can grow so much before they are copied
REFILL = 4  # new prompts start when a fourth of the places is free: several images together cost less

Pair = tuple[torch.Tensor, torch.Tensor]


def can_decode(model: Any) -> bool:
    """Whether `decode` supports the model and its adapter; others use their own `generate`."""
    from peft import PeftModel

    prompted = isinstance(model, PeftModel) and model.active_peft_config.is_prompt_learning  # adds its own tokens
    return model.config.model_type in FAMILIES and not prompted and has_position_ids(model)


@torch.inference_mode()
def decode(
    model: Any,
    encode: Callable[[Sequence[Any]], Mapping[str, torch.Tensor]],
    prompts: Iterable[Any],
    *,
    at_once: int,
    limit: int,
    stops: Collection[int],
    keep: Callable[[int, list[int]], None],
) -> None:
    """Answer each prompt greedily; call `keep(i, tokens)` as soon as the answer to prompt i is finished.

    An answer ends with one of `stops`, or has `limit` tokens. The same prompts in the same order get the same answers.
    Other prompts in the batch change the padding, which changes the last bits of the logits, and sometimes a token.

    Args:
        encode: the model's inputs of some prompts, padded on the left.
        prompts: read lazily, when places are free.
        at_once: maximum batch size.
    """
    waiting = enumerate(prompts)
    rows: _Rows | None = None
    while True:
        free = at_once - (len(rows.numbers) if rows else 0)
        taken = list(islice(waiting, free)) if free >= max(1, at_once // REFILL) else []
        if taken:
            begun = _begin(model, encode([prompt for _, prompt in taken]), [number for number, _ in taken])
            rows = _join(rows, begun) if rows else begun
        elif rows:
            _go_on(model, rows)
        else:
            return
        going_on = []
        for i, (number, answer) in enumerate(zip(rows.numbers, rows.answers, strict=True)):
            if answer[-1] in stops or len(answer) == limit:
                keep(number, answer)
            else:
                going_on.append(i)
        rows = _select(rows, going_on)


class RoomyLayer(DynamicLayer):
    """The keys and values of a layer, [B, heads, T, head size], as views of tensors with reserved room."""

    keys: Any  # None before the first tokens
    values: Any

    def __init__(self) -> None:
        super().__init__()
        self.room: list[torch.Tensor] = []

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Pair:
        """Write the states of new tokens after the earlier ones, and return all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if not self.room or end > self.room[0].shape[-2]:
            earlier = (self.keys, self.values) if start else (key_states[:, :, :0], value_states[:, :, :0])
            self.hold([earlier], end + ROOM)
        for room, states in zip(self.room, (key_states, value_states), strict=True):
            room[:, :, start:end] = states
        self.keys, self.values = (room[:, :, :end] for room in self.room)
        return self.keys, self.values

    def hold(self, parts: Sequence[Pair], size: int) -> None:
        """Copy keys and values of some rows of one or two layers into room for `size` tokens, aligned at the end."""
        length = max(keys.shape[-2] for keys, _ in parts)
        self.room = [_below([part[i] for part in parts], length, size) for i in (0, 1)]
        self.keys, self.values = (room[:, :, :length] for room in self.room)


def _below(parts: Sequence[torch.Tensor], length: int, size: int) -> torch.Tensor:
    """Stack the rows of both parts, each up to `length`. Masked positions are multiplied too, so they are zero."""
    _, heads, _, width = parts[0].shape
    room = parts[0].new_zeros(sum(map(len, parts)), heads, size, width)
    at = 0
    for part in parts:
        room[at : at + len(part), :, length - part.shape[-2] : length] = part
        at += len(part)
    return room


@dataclass
class _Rows:
    """Unfinished answers.

    Attributes:
        numbers: numbers of their prompts.
        answers: tokens so far; the model has not read the last token yet.
        cache: a cache of `RoomyLayer`.
        mask: 0 for padding, 1 for tokens in the cache, [B, T].
        positions: position of the last token in the cache, [B, 1]; with time, height and width [4, B, 1].
    """

    numbers: list[int]
    answers: list[list[int]]
    cache: Any
    mask: torch.Tensor
    positions: torch.Tensor


def _begin(model: Any, inputs: Mapping[str, torch.Tensor], numbers: list[int]) -> _Rows:
    """Read prompts and compute the first token of each answer."""
    positions = position_ids(model, inputs)
    cache = Cache(layer_class_to_replicate=RoomyLayer)
    said = model(**inputs, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
    answers = [[token] for token in said.logits[:, -1].argmax(-1).tolist()]
    return _Rows(numbers, answers, cache, inputs["attention_mask"], positions[..., -1:])


def _go_on(model: Any, rows: _Rows) -> None:
    """Compute the next token of each answer."""
    last = torch.tensor([[answer[-1]] for answer in rows.answers], device=rows.mask.device)  # [B, 1]
    rows.mask = pad(rows.mask, (0, 1), value=1)  # [B, T + 1]
    rows.positions = rows.positions + 1
    said = model(
        input_ids=last,
        attention_mask=rows.mask,
        position_ids=rows.positions,
        past_key_values=rows.cache,
        use_cache=True,
    )
    for answer, token in zip(rows.answers, said.logits[:, -1].argmax(-1).tolist(), strict=True):
        answer.append(token)


def _select(rows: _Rows, kept: list[int]) -> _Rows | None:
    """Select rows and drop padding that none of them needs; None if there are no rows."""
    if not kept or len(kept) == len(rows.numbers):
        return rows if kept else None
    mask = rows.mask[kept]
    start = int(mask.argmax(-1).min())
    for layer in rows.cache.layers:
        layer.hold([(layer.keys[kept, :, start:], layer.values[kept, :, start:])], mask.shape[1] - start + ROOM)
    return _Rows(
        [rows.numbers[i] for i in kept],
        [rows.answers[i] for i in kept],
        rows.cache,
        mask[:, start:],
        rows.positions[..., kept, :],
    )


def _join(rows: _Rows, more: _Rows) -> _Rows:
    """Join both; shorter rows are padded on the left."""
    length = max(rows.mask.shape[1], more.mask.shape[1])
    for layer, other in zip(rows.cache.layers, more.cache.layers, strict=True):
        layer.hold([(layer.keys, layer.values), (other.keys, other.values)], length + ROOM)
    masks = [pad(part.mask, (length - part.mask.shape[1], 0)) for part in (rows, more)]
    return _Rows(
        rows.numbers + more.numbers,
        rows.answers + more.answers,
        rows.cache,
        torch.cat(masks),  # [B, T]
        torch.cat([rows.positions, more.positions], dim=-2),
    )
