"""The worker that scores translations with COMET in an environment of its own.

Run by the Python of `.venv-comet` as a script: `python -P comet_worker.py MODEL TOKENS`. It imports nothing of
mella_hf, which is not installed there. It reads and writes JSON lines. The first output line is
{"max_tokens", "version"} or {"error"}. Then for each {"op": "count" | "score", "pairs": [[source, translation], …]} it
writes one line {"values": […]} or {"error": "…"}.
"""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Pair = tuple[str, str]  # source, translation
BATCH_TOKENS = 2048  # fastest on a CPU; use ten times as many on a GPU


class CometModel:
    """A COMET quality-estimation checkpoint in this process.

    Args:
        model: folder with hparams.yaml and checkpoints/model.ckpt, or a Hub id.
        batch_tokens: tokens per batch, with padding.

    Raises:
        ValueError: if there is no checkpoint, or it needs references.
    """

    def __init__(self, model: str, batch_tokens: int):
        folder = Path(model)
        path = folder / "checkpoints" / "model.ckpt"
        if folder.is_dir() and not path.is_file():
            raise ValueError(f"{model!r} has no checkpoints/model.ckpt")
        import torch
        from comet import download_model, load_from_checkpoint

        if not folder.is_dir():
            path = Path(download_model(model))
        local = folder.is_dir()
        self._model: Any = load_from_checkpoint(str(path), reload_hparams=local, local_files_only=local)
        if self._model.requires_references():
            raise ValueError(f"{model!r} compares with references; quality estimation needs one without, such as Kiwi")
        self._model.eval()
        self._device = torch.device("cpu")
        if torch.accelerator.is_available():
            self._device = torch.accelerator.current_accelerator() or self._device
        self._model.to(self._device)
        self._batch_tokens = batch_tokens
        self.max_tokens = int(self._model.encoder.max_positions)
        with open(path, "rb") as file:
            self.version = hashlib.file_digest(file, "sha256").hexdigest()[:12]

    def count(self, pairs: Sequence[Pair]) -> list[int]:
        """Number of tokens of each pair for the encoder, with special tokens."""
        marks = 2 + self._model.encoder.size_separator
        tokenize = self._model.encoder.tokenizer
        texts = [text for pair in pairs for text in pair]
        lengths = [len(ids) for ids in tokenize(texts, add_special_tokens=False)["input_ids"]] if texts else []
        return [a + b + marks for a, b in zip(lengths[::2], lengths[1::2], strict=True)]

    def score(self, pairs: Sequence[Pair]) -> list[float]:
        """Score each pair. Batches hold pairs of similar length, as many as the token limit allows.

        Raises:
            ValueError: if a pair is longer than the encoder's limit; COMET would cut it silently.
        """
        import torch

        lengths = self.count(pairs)
        if lengths and max(lengths) > self.max_tokens:
            raise ValueError(f"a pair has {max(lengths)} tokens, the encoder sees {self.max_tokens}")
        scores = [0.0] * len(pairs)
        with torch.inference_mode():
            for batch in plan_batches(lengths, self._batch_tokens):
                samples = [{"src": pairs[i][0], "mt": pairs[i][1]} for i in batch]
                inputs = self._model.prepare_sample(samples, stage="predict")
                inputs = self._model.transfer_batch_to_device(inputs, self._device, 0)
                found = self._model.predict_step(inputs).scores
                for i, score in zip(batch, found.tolist(), strict=True):
                    scores[i] = score
        return scores

    def close(self) -> None:
        """Do nothing: the model is in this process."""


def plan_batches(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Indices in batches, longest first: this needs little padding, and memory runs out early or never."""
    batches: list[list[int]] = []
    width = 0
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not batches or (len(batches[-1]) + 1) * width > batch_tokens:
            batches.append([])
            width = lengths[i]
        batches[-1].append(i)
    return batches


def main(model_name: str, batch_tokens: int) -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of libraries must not mix with the answers

    def answer(**fields: Any) -> None:
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    try:
        model = CometModel(model_name, batch_tokens)
    except Exception as error:  # any error: the other process reports it
        answer(error=f"{type(error).__name__}: {error}")
        return
    answer(max_tokens=model.max_tokens, version=model.version)
    operations = {"count": model.count, "score": model.score}
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            values = operations[request["op"]]([(source, mt) for source, mt in request["pairs"]])
        except Exception as error:  # any error, as above; the next request may succeed
            answer(error=f"{type(error).__name__}: {error}")
        else:
            answer(values=values)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
