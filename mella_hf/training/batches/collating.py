"""Batches for processors to which TRL's collator cannot be applied.

TRL processes prompts and answers apart and joins their tokens. Two families need both at once: PaliGemma, whose
processor marks the answer itself, and Llama 3.2, whose every token says which image it sees.
"""

from typing import Any

from mella_hf.answers.processors import has_cross_attention, takes_suffix

IGNORED = -100  # the label of a token without a loss


def collator_for(processor: Any) -> Any:
    """The collator that a processor needs; None where TRL's own works."""
    if takes_suffix(processor):
        return SuffixCollator(processor)
    return JointCollator(processor) if has_cross_attention(processor) else None


class JointCollator:
    """Processes prompt and answer of a conversation as one text."""

    def __init__(self, processor: Any):
        self.processor = processor

    def __call__(self, conversations: list[dict[str, Any]]) -> Any:
        """Conversations to model inputs and labels of (rows, positions); the loss is on the answers alone."""
        prompts = [self._text(turn["prompt"], True) for turn in conversations]
        wholes = [self._text(turn["prompt"] + turn["completion"], False) for turn in conversations]
        batch = self.processor(
            text=wholes,
            images=[turn["images"] for turn in conversations],
            padding=True,
            padding_side="right",
            add_special_tokens=False,
            return_tensors="pt",
        )
        labels = batch["input_ids"].clone()
        for row, (prompt, whole) in enumerate(zip(prompts, wholes, strict=True)):
            length = int(batch["attention_mask"][row].sum())
            answer = len(self.processor.tokenizer(whole[len(prompt) :], add_special_tokens=False)["input_ids"])
            labels[row, : length - answer] = IGNORED
            labels[row, length:] = IGNORED
        batch["labels"] = labels
        return batch

    def _text(self, turns: list[dict[str, Any]], opened: bool) -> str:
        return self.processor.apply_chat_template(turns, add_generation_prompt=opened, tokenize=False)


class SuffixCollator(JointCollator):
    """Gives the answers to a processor that marks and ends them itself."""

    def __call__(self, conversations: list[dict[str, Any]]) -> Any:
        """Conversations to model inputs and labels of (rows, positions); the loss is on the answers alone."""
        batch = self.processor(
            text=[self._text(turn["prompt"], True) for turn in conversations],
            suffix=[self._text(turn["completion"], False) for turn in conversations],
            images=[turn["images"] for turn in conversations],
            padding=True,
            padding_side="right",
            return_tensors="pt",
        )
        batch["labels"] = batch["labels"].masked_fill(batch["attention_mask"] == 0, IGNORED)
        return batch
