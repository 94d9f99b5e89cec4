"""Score a few answers during training and write the scores to the Trainer's log.

The loss does not show the failures that scarce or noisy alt-text causes: names never said, answers in another language,
looping text (arXiv 2508.05502, failure cases). So a small fixed set of `know` and `ling` is answered greedily with the
test prompts and scored. TensorBoard, `training.json` and the report take the scores from the log.

The set is drawn from the training splits, so early stopping sees no test image. It shows what is being learned and what
is being forgotten, also for a source that this stage does not train on. How well the model does on unseen images is
measured by the evaluation.
"""

import random
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import TrainerCallback

from mella_hf.errors import MellaError
from mella_hf.images.opening import on_white
from mella_hf.languages import get_language
from mella_hf.sample import SOURCES
from mella_hf.training.splits import MissingSplitError, load_source

OBJECTIVES = {"know": "keyword_micro", "ling": "meteor"}  # the paper's metric of each source
METRICS = ("keyword_micro", "meteor", "repetition_rate", "wrong_language_rate")
GAIN = 1.0  # points of 100 that count as a gain; on a few dozen images less than that is noise
BATCH = 16  # images per generation batch


@dataclass
class WatchArguments:
    """Settings for scoring a few answers during training, and for early stopping."""

    watch_steps: int | None = field(
        default=None, metadata={"help": "Steps between two looks at the model's answers; none by default."}
    )
    watch_samples: int = field(default=32, metadata={"help": "Images that are looked at, of each language and source."})
    watch_new_tokens: int | None = field(
        default=None,
        metadata={"help": "Most tokens of an answer that is looked at; those of the evaluation by default."},
    )
    watch_patience: int = field(
        default=3, metadata={"help": "Looks without a gain after which an objective counts as stalled."}
    )
    watch_early_stop: bool = field(
        default=False, metadata={"help": "End the run when neither know nor ling has gained for watch_patience looks."}
    )

    def __post_init__(self) -> None:
        for name in ("watch_steps", "watch_samples", "watch_new_tokens", "watch_patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise MellaError(f"{name} is {value}; give a positive number.")
        if self.watch_early_stop and self.watch_steps is None:
            raise MellaError(
                "watch_early_stop needs watch_steps; set it to the number of steps between two evaluations."
            )


def watch_set(
    dataset: str, data_dir: str | None, languages: Sequence[str], samples: int, seed: int
) -> dict[tuple[str, str], Any]:
    """Draw the rows to watch by seed from the available training splits, by (language, source)."""
    drawn = {}
    for language in languages:
        for source in SOURCES:
            try:
                rows = load_source(dataset, data_dir, language, source)
            except MissingSplitError:  # a dataset with one source; the run's own sources were checked before
                continue
            count = min(samples, len(rows))
            drawn[language, source] = rows.select(
                sorted(random.Random(f"watch/{seed}").sample(range(len(rows)), count))
            )
    return {key: rows for key, rows in drawn.items() if len(rows)}


def look(
    model: Any, processor: Any, rows: Mapping[tuple[str, str], Any], new_tokens: int | None = None
) -> dict[str, float]:
    """Score the model's answers: "watch/<language>/<source>_<metric>" -> score in [0, 100] or rate in [0, 1]."""
    from mella_hf.answers.generate import answer_batch
    from mella_hf.answers.predictions import MAX_NEW_TOKENS
    from mella_hf.metrics import MellaMetric

    found: dict[str, float] = {}
    for (language, source), part in rows.items():
        prompt = get_language(language).test_prompt(source)
        answers: list[str] = []
        for start in range(0, len(part), BATCH):
            images = [on_white(image) for image in part[start : start + BATCH]["image"]]
            batch = answer_batch(model, processor, images, prompt, new_tokens or MAX_NEW_TOKENS[source])
            answers += [answer["prediction"] for answer in batch]
        keywords = [words or [] for words in part["keywords"]]
        scores = MellaMetric(language, resamples=1, workers=1, progress=False).compute(
            predictions=answers,
            references=list(part["text"]),
            keywords=keywords if any(keywords) else None,
            check_references=False,  # few texts
        )
        found |= {f"watch/{language}/{source}_{m}": scores[m] for m in METRICS if scores[m] is not None}
    return found


def course(log: Iterable[Mapping[str, Any]], source: str) -> list[float]:
    """The source's main metric over time, from the Trainer's log; the mean over languages."""
    ending = f"/{source}_{OBJECTIVES[source]}"
    looks = [[v for k, v in entry.items() if k.startswith("watch/") and k.endswith(ending)] for entry in log]
    return [sum(values) / len(values) for values in looks if values]


def gains(values: Sequence[float], patience: int) -> bool | None:
    """Whether the last `patience` scores exceed all earlier ones; None if there are too few scores."""
    if len(values) <= patience:
        return None
    best = max(values[:-patience])
    return max(values[-patience:]) >= best + GAIN or best > 100 - GAIN  # no gain is possible any more


class Watch(TrainerCallback):
    """Score the model's answers during training, without changing the training or its random numbers.

    Every process answers the same images, so none waits for another.

    Args:
        trainer: whose model is watched and whose log is written.
        rows: as `watch_set` gives them.
    """

    def __init__(self, trainer: Any, rows: Mapping[tuple[str, str], Any], arguments: WatchArguments) -> None:
        self.trainer, self.rows, self.arguments = trainer, rows, arguments
        self.warned = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Score the fixed samples every `watch_steps` steps and log the scores."""
        if state.global_step % self.arguments.watch_steps:
            return
        import torch

        model, should_log = self.trainer.accelerator.unwrap_model(self.trainer.model), control.should_log
        model.eval()
        with torch.random.fork_rng():
            found = look(model, self.trainer.processing_class, self.rows, self.arguments.watch_new_tokens)
        self.trainer.log(found)
        control.should_log = should_log  # otherwise the loss of this step would not be logged
        model.train()
        self._judge(state, control)

    def _judge(self, state: Any, control: Any) -> None:
        gained = {
            source: gains(course(state.log_history, source), self.arguments.watch_patience)
            for source in OBJECTIVES
            if any(key[1] == source for key in self.rows)
        }
        patience = self.arguments.watch_patience
        if self.arguments.watch_early_stop and gained and all(g is False for g in gained.values()):
            control.should_training_stop = True
        stalled = [source for source, gain in gained.items() if gain is False]
        if len(stalled) == 1 and True in gained.values() and not self.warned:
            source, self.warned = stalled[0], True
            value = course(state.log_history, source)[-1]
            warnings.warn(
                f"{source} stalls: its {OBJECTIVES[source]} is {value:.1f} at step {state.global_step} and has not "
                f"gained {GAIN:g} point in {patience} looks, while the other source gains. Is its data sound, and its "
                "share of the loss large enough?",
                stacklevel=2,
            )
