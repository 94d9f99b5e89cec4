"""Pretrain the miniature backbone: English pictures once for all languages, then plain text of one language.

There are three steps, as for real backbones. The vision tower first learns what each part of a picture shows. Then the
whole model learns to name things and to describe scenes in English. That base serves every language. For one of them
it gets further tokens and reads plain text, with English pictures in between so that it does not forget them. The
steps are plain `transformers.Trainer` runs and resume where they were stopped.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments, set_seed

from mella_hf.answers.identity import content_hash
from mella_hf.demo import miniature
from mella_hf.demo.lessons import Lesson, Views
from mella_hf.files import write_atomic
from mella_hf.stage import fingerprint
from mella_hf.training.batches.batching import LengthBuckets
from mella_hf.training.batches.chat import user_turn
from mella_hf.training.checkpoints import (
    RUN_FILE,
    MarkComplete,
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
VISION_RATE, ENGLISH_RATE, READING_RATE = 3e-3, 2e-3, 2e-3  # peak learning rates


@dataclass(frozen=True)
class Budget:
    """How long to train, in steps of each kind."""

    vision_steps: int = 600
    vision_batch: int = 64
    english_steps: int = 900
    reading_steps: int = 300
    batch: int = 32
    save_steps: int = 200
    seed: int = 0


def pretrain(lessons: Sequence[Lesson], folder: Path, budget: Budget | None = None) -> Path:
    """Train a miniature in English and save it with its processor as `folder/model`; resume an interrupted run.

    Args:
        lessons: pictures with what to say about them in English.
        folder: folder of this run, for checkpoints and finally `pretrain.json` with the curves.
    """
    budget = budget or Budget()
    return _once(folder, [budget, _prints(lessons)], lambda: _pretrain(lessons, folder, budget))


def read_language(
    base: Path, lessons: Sequence[Lesson], texts: Sequence[str], folder: Path, budget: Budget | None = None
) -> Path:
    """Let a pretrained miniature read plain text of a language and save it as `folder/model`; resume likewise.

    Args:
        base: the folder that `pretrain` returned.
        lessons: some of the pictures that it was trained on, to keep its English.
        texts: plain lines in the language that adapters will teach.
    """
    budget = budget or Budget()
    inputs = [budget, content_hash(str(base)), _prints(lessons), list(texts)]
    return _once(folder, inputs, lambda: _read_language(base, lessons, texts, folder, budget))


def _prints(lessons: Sequence[Lesson]) -> list[Any]:
    return [[one.image.hex(), one.text, one.cells] for one in lessons]


def _once(folder: Path, inputs: Sequence[Any], train: Callable[[], None]) -> Path:
    """Train, unless the folder already holds a model that was made from the same inputs. Returns the model's folder.

    A finished model is only read, so that needs no lock of the folder.
    """
    settings = {"inputs": fingerprint(*[vars(one) if isinstance(one, Budget) else one for one in inputs])}
    if _is_of(folder, settings) and (folder / RECORD).exists():
        return folder / "model"
    with sole_use(folder):
        if not _is_of(folder, settings):
            shutil.rmtree(folder, ignore_errors=True)
            write_atomic(folder / RUN_FILE, json.dumps(settings))
        if not (folder / RECORD).exists():
            train()
    return folder / "model"


def _is_of(folder: Path, settings: dict[str, str]) -> bool:
    """Whether what the folder holds was made from the same inputs."""
    path = folder / RUN_FILE
    return path.is_file() and json.loads(path.read_text("utf-8")) == settings


def _pretrain(lessons: Sequence[Lesson], folder: Path, budget: Budget) -> None:
    tokenizer = miniature.train_tokenizer([*(one.text for one in lessons), *NAME_PROMPTS, *DESCRIBE_PROMPTS])
    processor = miniature.build_processor(tokenizer)
    model = miniature.build_model(tokenizer, budget.seed)
    views = Views(lessons, processor, budget.seed)
    curves = {"vision": _train_vision(model, views, folder / "vision", budget)}
    run = (folder / "english", budget.english_steps, ENGLISH_RATE, budget)
    curves["english"] = _train_language(model, processor, views, (), *run)
    _save(model, processor, folder, {"pictures": len(lessons), "curves": curves})


def _read_language(base: Path, lessons: Sequence[Lesson], texts: Sequence[str], folder: Path, budget: Budget) -> None:
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    tokenizer = miniature.extend_tokenizer(AutoTokenizer.from_pretrained(base), texts)
    processor = miniature.build_processor(tokenizer)
    set_seed(budget.seed)
    model: Any = AutoModelForImageTextToText.from_pretrained(base, attn_implementation="eager", dtype=torch.float32)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)  # new ones as random as the first ones were
    views = Views(lessons, processor, budget.seed)
    run = (folder / "reading", budget.reading_steps, READING_RATE, budget)
    curves = {"reading": _train_language(model, processor, views, texts, *run)}
    _save(model, processor, folder, {"texts": len(texts), "curves": curves})


def _save(model: Any, processor: "Qwen2VLProcessor", folder: Path, record: dict[str, Any]) -> None:
    """Write the model with its processor, then the record that says it is done."""
    result, aside = folder / "model", folder / ".model"
    model.save_pretrained(aside)
    processor.save_pretrained(aside)
    _mark_as_miniature(aside)
    shutil.rmtree(result, ignore_errors=True)
    os.replace(aside, result)
    sizes = {"parameters": model.num_parameters(), "vocabulary": len(processor.tokenizer)}
    write_atomic(folder / RECORD, json.dumps({**sizes, **record}, indent=1))


def _mark_as_miniature(folder: Path) -> None:
    """Write into the config that this is a stand-in, so that every later stage knows."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["mella_miniature"] = f"{miniature.NAME}: a stand-in of a few million parameters, for demonstration only"
    path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


class _Numbers(torch.utils.data.Dataset[int]):
    """The numbers 0 … n-1; the collator builds a whole batch from them."""

    def __init__(self, size: int):
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        return index


class _VisionClassifier(nn.Module):
    """A vision tower with linear heads that say what each part of the picture shows, and the how many-th thing it is.

    Without the second, the language model would have to find the order of the things by itself, which takes far longer.
    """

    def __init__(self, tower: nn.Module, hidden: int, names: int, cells: int):
        super().__init__()
        self.tower, self.name, self.place = tower, nn.Linear(hidden, names), nn.Linear(hidden, cells + 1)

    def forward(
        self, pixel_values: torch.Tensor, image_grid_thw: torch.Tensor, labels: torch.Tensor, places: torch.Tensor
    ) -> dict[str, Any]:
        """Cross-entropy over names, of the image tokens that show something, and over places in reading order."""
        features = self.tower(pixel_values, grid_thw=image_grid_thw).pooler_output  # [B * T, D]
        named = functional.cross_entropy(self.name(features), labels.flatten())
        placed = functional.cross_entropy(self.place(features), places.flatten(), reduction="sum")
        placed = placed / max(1, int((places >= 0).sum()))  # a batch may have no scene
        return {"loss": named + placed}


def _places(cells: Sequence[str]) -> list[int]:
    """The number of each thing in reading order, from 1; 0 for nothing."""
    filled = list(accumulate(bool(name) for name in cells))
    return [number if name else 0 for name, number in zip(cells, filled, strict=True)]


def _train_vision(model: Any, views: Views, folder: Path, budget: Budget) -> list[dict[str, Any]]:
    """Train the vision tower to tell what is where; the head is discarded."""
    names = sorted({name for lesson in views.lessons for name in lesson.cells if name})
    nothing = -100  # no loss
    classes = {name: i for i, name in enumerate(names)} | {"": nothing}
    cells = len(views.lessons[0].cells)
    set_seed(budget.seed)
    classifier = _VisionClassifier(model.model.visual, model.config.text_config.hidden_size, len(names), cells)

    def collate(indices: list[int]) -> dict[str, torch.Tensor]:
        lessons = [views.lesson(i) for i in indices]
        labels = [[classes[name] for name in lesson.cells] for lesson in lessons]
        places = [_places(lesson.cells) if lesson.is_scene else [nothing] * cells for lesson in lessons]
        return {**views.inputs(indices), "labels": torch.tensor(labels), "places": torch.tensor(places)}

    batches = LengthBuckets([1] * len(views), ["picture"] * len(views), budget.vision_batch, budget.seed)
    return _run(classifier, batches, collate, folder, budget.vision_steps, VISION_RATE, budget)


def _train_language(
    model: "Qwen2VLForConditionalGeneration",
    processor: "Qwen2VLProcessor",
    views: Views,
    texts: Sequence[str],
    folder: Path,
    steps: int,
    rate: float,
    budget: Budget,
) -> list[dict[str, Any]]:
    """Train the whole model to name and describe in English, and to read plain text."""
    rng = random.Random(budget.seed)
    examples: list[tuple[str, int | None, list[int], int]] = []  # group, variant, token ids, prompt tokens
    for number in range(len(views)):
        lesson = views.lesson(number)
        group, prompts = ("describe", DESCRIBE_PROMPTS) if lesson.is_scene else ("name", NAME_PROMPTS)
        examples.append((group, number, *_turns(processor, rng.choice(prompts), lesson.text)))
    end = processor.tokenizer.eos_token
    for text in texts:
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
    return _run(model, batches, collate, folder, steps, rate, budget)


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
    """Train with Trainer, from the last checkpoint if there is one, and return the log. Examples go by their number."""

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
    if checkpoint:
        restore_weights(model, checkpoint)
        log = finished_log(checkpoint)
        if log is not None:
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
