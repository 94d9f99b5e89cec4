"""Pretrain the miniature backbone on named pictures and plain text.

There are two steps, as for real backbones: the vision tower first learns to tell the pictures apart; then the whole
model learns to name and describe them in English and reads plain text in every language. Both steps are plain
`transformers.Trainer` runs and resume where they were stopped.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments, set_seed

from mella_hf.demo import miniature
from mella_hf.files import write_atomic
from mella_hf.images.opening import open_image
from mella_hf.stage import fingerprint
from mella_hf.training.batches.batching import LengthBuckets
from mella_hf.training.batches.chat import user_turn
from mella_hf.training.checkpoints import (
    RUN_FILE,
    MarkComplete,
    claim,
    finished_log,
    last_checkpoint,
    remove_incomplete,
    restore_weights,
    sole_use,
)

if TYPE_CHECKING:
    from transformers import Qwen2VLForConditionalGeneration, Qwen2VLProcessor

RECORD = "pretrain.json"  # written last
NAME_PROMPTS = ("What is this?", "What does the picture show?", "Name what you see.")
DESCRIBE_PROMPTS = ("Describe this picture.", "What does the picture look like?", "Describe what you see.")
CACHED_SIDE = 112  # px; pictures are kept in memory at this size
ZOOM, SHIFT, STRETCH = 0.22, 0.2, 0.04  # share of the side: how far a variant may differ from the picture
VARIANTS = 8  # variants per picture, drawn once
VISION_RATE, ENGLISH_RATE = 3e-3, 2e-3  # peak learning rates
TEXT_REPEATS = 2  # passes over the plain text per pass over all variants


@dataclass(frozen=True)
class NamedPicture:
    """One picture of the miniature's English training: encoded image, name and description."""

    image: bytes
    name: str
    description: str


@dataclass(frozen=True)
class Budget:
    """How long to train. The defaults took 459 s on two busy cores."""

    vision_steps: int = 800
    vision_batch: int = 64
    steps: int = 1000
    batch: int = 32
    save_steps: int = 200
    seed: int = 0


def pretrain(
    pictures: Sequence[NamedPicture], texts: Sequence[str], folder: Path, budget: Budget | None = None
) -> Path:
    """Train a miniature and save it with its processor as `folder/model`; resume an interrupted run.

    Args:
        pictures: pictures to name and describe in English.
        texts: plain lines in every language that adapters will teach.
        folder: folder of this run, for checkpoints and finally `pretrain.json` with the curves.
    """
    budget = budget or Budget()
    inputs = [[p.image.hex(), p.name, p.description] for p in pictures]
    settings = {"budget": vars(budget), "inputs": fingerprint(inputs, list(texts))}
    if (folder / RECORD).exists() and json.loads((folder / RUN_FILE).read_text("utf-8")) == settings:
        return folder / "model"  # without the lock: demos of several languages can share a finished base
    with sole_use(folder):
        claim(folder, settings, overwrite=True)
        if not (folder / RECORD).exists():
            _pretrain(pictures, texts, folder, budget)
    return folder / "model"


def _pretrain(pictures: Sequence[NamedPicture], texts: Sequence[str], folder: Path, budget: Budget) -> None:
    result, record = folder / "model", folder / RECORD
    spoken = [text for p in pictures for text in (p.name, p.description)]
    tokenizer = miniature.train_tokenizer([*texts, *spoken, *NAME_PROMPTS, *DESCRIBE_PROMPTS])
    processor = miniature.build_processor(tokenizer)
    model = miniature.build_model(tokenizer, budget.seed)
    views = Views(pictures, processor, budget.seed)
    curves = {"vision": _train_vision(model, views, folder / "vision", budget)}
    curves["english"] = _train_english(model, processor, views, texts, folder / "english", budget)
    aside = folder / ".model"
    model.save_pretrained(aside)
    processor.save_pretrained(aside)
    _mark_as_miniature(aside)
    shutil.rmtree(result, ignore_errors=True)
    os.replace(aside, result)
    sizes = {"pictures": len(pictures), "texts": len(texts), "parameters": model.num_parameters()}
    write_atomic(record, json.dumps({**sizes, "vocabulary": len(tokenizer), "curves": curves}, indent=1))


def _mark_as_miniature(folder: Path) -> None:
    """Write into the config that this is a stand-in, so that every later stage knows."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["mella_miniature"] = f"{miniature.NAME}: a stand-in of a few million parameters, for demonstration only"
    path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


class Views:
    """The pictures in memory, and a fixed set of variants of each: zoomed, shifted, slightly stretched.

    Variants are drawn once from the seed, so the data of a step does not depend on interruptions.
    """

    def __init__(self, pictures: Sequence[NamedPicture], processor: "Qwen2VLProcessor", seed: int):
        import numpy as np
        from PIL import Image

        def pixels(data: bytes) -> torch.Tensor:
            image = open_image(data, side=CACHED_SIDE)
            small = image.resize((CACHED_SIDE, CACHED_SIDE), Image.Resampling.BILINEAR)
            return torch.from_numpy(np.array(small)).permute(2, 0, 1)

        self.pictures = pictures
        self.images = torch.stack([pixels(picture.image) for picture in pictures])  # [N, 3, H, W] uint8
        self.processor = processor
        draw = torch.rand(len(pictures), VARIANTS, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        draw[:, 0] = 0  # the first variant is the picture itself
        self.draws = draw  # [N, V, 4] in [-1, 1]

    def __len__(self) -> int:
        return len(self.pictures) * VARIANTS

    def inputs(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """`pixel_values` and `image_grid_thw` of variants, by their numbers in [0, len(self))."""
        index = torch.tensor(indices)
        images = self.images[index // VARIANTS].float()  # [B, 3, H, W]
        zoom, stretch, right, down = self.draws[index // VARIANTS, index % VARIANTS].unbind(1)
        affine = torch.zeros(len(indices), 2, 3)
        affine[:, 1, 1] = 1 + ZOOM * zoom
        affine[:, 0, 0] = affine[:, 1, 1] * (1 + STRETCH * stretch)
        affine[:, 0, 2], affine[:, 1, 2] = SHIFT * right, SHIFT * down
        side = miniature.IMAGE_SIDE
        grid = functional.affine_grid(affine, [len(indices), 3, side, side], align_corners=False)
        corner = images[:, :, :1, :1]  # the area outside the picture gets the colour of its corner
        moved = functional.grid_sample(images - corner, grid, align_corners=False) + corner
        batch = list(moved.round().clamp(0, 255).to(torch.uint8))
        return dict(self.processor.image_processor(batch, return_tensors="pt"))


class _Numbers(torch.utils.data.Dataset[int]):
    """The numbers 0 … n-1; the collator builds a whole batch from them."""

    def __init__(self, size: int):
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        return index


class _VisionClassifier(nn.Module):
    """A vision tower with a linear head that names the picture."""

    def __init__(self, tower: nn.Module, hidden: int, classes: int):
        super().__init__()
        self.tower, self.head = tower, nn.Linear(hidden, classes)

    def forward(self, pixel_values: torch.Tensor, image_grid_thw: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
        """Cross-entropy over names, on the mean of the image tokens."""
        features = self.tower(pixel_values, grid_thw=image_grid_thw).pooler_output  # [B * T, D]
        pooled = features.view(len(labels), -1, features.shape[-1]).mean(1)  # [B, D]
        return {"loss": functional.cross_entropy(self.head(pooled), labels)}


def _train_vision(model: Any, views: Views, folder: Path, budget: Budget) -> list[dict[str, Any]]:
    """Train the vision tower to tell the names apart; the head is discarded."""
    classes = {name: i for i, name in enumerate(sorted({p.name for p in views.pictures}))}
    labels = [classes[p.name] for p in views.pictures]
    set_seed(budget.seed)
    classifier = _VisionClassifier(model.model.visual, model.config.text_config.hidden_size, len(classes))

    def collate(indices: list[int]) -> dict[str, torch.Tensor]:
        return {**views.inputs(indices), "labels": torch.tensor([labels[i // VARIANTS] for i in indices])}

    batches = LengthBuckets([1] * len(views), ["picture"] * len(views), budget.vision_batch, budget.seed)
    return _run(classifier, batches, collate, folder, budget.vision_steps, VISION_RATE, budget)


def _train_english(
    model: "Qwen2VLForConditionalGeneration",
    processor: "Qwen2VLProcessor",
    views: Views,
    texts: Sequence[str],
    folder: Path,
    budget: Budget,
) -> list[dict[str, Any]]:
    """Train the whole model to name and describe in English, and to read plain text."""
    rng = random.Random(budget.seed)
    examples: list[tuple[str, int | None, list[int], int]] = []  # group, variant, token ids, prompt tokens
    for number in range(len(views)):
        picture = views.pictures[number // VARIANTS]
        examples.append(("name", number, *_turns(processor, rng.choice(NAME_PROMPTS), picture.name)))
        if number % VARIANTS < VARIANTS // 4:  # descriptions are longer and similar to each other
            prompt = rng.choice(DESCRIBE_PROMPTS)
            examples.append(("describe", number, *_turns(processor, prompt, picture.description)))
    end = processor.tokenizer.eos_token
    for text in [*texts] * TEXT_REPEATS:
        examples.append(("text", None, processor.tokenizer(text + end)["input_ids"], 0))
    pad = processor.tokenizer.pad_token_id
    image_token = model.config.image_token_id

    def collate(indices: list[int]) -> dict[str, torch.Tensor]:
        rows = [examples[i] for i in indices]
        width = max(len(ids) for _, _, ids, _ in rows)
        tokens = torch.tensor([ids + [pad] * (width - len(ids)) for _, _, ids, _ in rows])  # [B, T]
        mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for _, _, ids, _ in rows])
        labels = tokens.masked_fill(mask == 0, -100)
        for row, (_, _, _, prompt) in enumerate(rows):
            labels[row, :prompt] = -100
        batch = {"input_ids": tokens, "attention_mask": mask, "labels": labels}
        numbers = [number for _, number, _, _ in rows if number is not None]
        if numbers:
            batch |= {**views.inputs(numbers), "mm_token_type_ids": (tokens == image_token).int()}
        return batch

    batches = LengthBuckets(
        [len(ids) for _, _, ids, _ in examples], [group for group, *_ in examples], budget.batch, budget.seed
    )
    return _run(model, batches, collate, folder, budget.steps, ENGLISH_RATE, budget)


def _turns(processor: "Qwen2VLProcessor", prompt: str, answer: str) -> tuple[list[int], int]:
    """Token ids of a conversation about one image, and the number of prompt tokens."""
    turn: Any = user_turn(prompt)
    question = processor.apply_chat_template([turn], add_generation_prompt=True)
    patches = (miniature.IMAGE_SIDE // miniature.PATCH) ** 2
    image = miniature.SPECIAL_TOKENS["image"]
    question = question.replace(image, image * (patches // processor.image_processor.merge_size**2))
    prompt_ids = processor.tokenizer(question)["input_ids"]
    return prompt_ids + processor.tokenizer(answer + processor.tokenizer.eos_token + "\n")["input_ids"], len(prompt_ids)


def _run(
    model: nn.Module,
    batches: LengthBuckets,
    collate: Callable[[list[int]], dict[str, torch.Tensor]],
    folder: Path,
    steps: int,
    rate: float,
    budget: Budget,
) -> list[dict[str, Any]]:
    """Run a resumable Trainer over numbered examples and return its log."""

    class _Trainer(Trainer):
        def get_train_dataloader(self) -> Any:
            self.accelerator.even_batches = False  # the batches differ in size
            loader = DataLoader(_Numbers(len(batches.lengths)), batch_sampler=batches, collate_fn=collate)
            return self.accelerator.prepare(loader)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            restore_weights(self.model, Path(resume_from_checkpoint))

    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=batches.per_rank,
        learning_rate=rate,
        weight_decay=0.05,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, steps // 12),
        logging_steps=25,
        save_steps=budget.save_steps,
        save_total_limit=2,
        seed=budget.seed,
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    remove_incomplete(folder)
    checkpoint = last_checkpoint(folder)
    if checkpoint and (log := finished_log(checkpoint)) is not None:
        restore_weights(model, checkpoint)
        return log
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=_Numbers(len(batches.lengths)),
        data_collator=collate,
        callbacks=[MarkComplete()],
    )
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return trainer.state.log_history
