"""Say what an adapter is: its base, its LoRA, what it was trained on, and its scores, without loading weights."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mella_hf.answers.identity import ADAPTER_WEIGHTS, PROVENANCE, read_adapter_config
from mella_hf.evaluation.run import score_line
from mella_hf.training.checkpoints import DONE_FILE

LORA = ("r", "lora_alpha", "lora_dropout")
SETTINGS = ("languages", "sources", "learning_rate", "num_train_epochs", "max_steps", "source_weights", "seed")


@dataclass(frozen=True, repr=False)
class AdapterInfo:
    """What an adapter's folder says.

    Attributes:
        folder: where it is.
        base: the model that it adapts.
        weights_bytes: size of its weights.
        lora: rank and the other numbers of LoRA.
        settings: of its training, where they are known.
        training: samples, tokens and parameters of its training, where they are known.
        steps, last_loss: of its training; None where they are unknown.
        scores: of its evaluation, where it is prepared for the Hub.
    """

    folder: Path
    base: str
    weights_bytes: int
    lora: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None
    last_loss: float | None = None
    scores: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)

    def __repr__(self) -> str:
        lines = [
            f"adapter: {self.folder} ({self.weights_bytes / 1e6:,.1f} MB)",
            f"base: {self.base}",
            "LoRA: " + ", ".join(f"{name} {value}" for name, value in self.lora.items()),
        ]
        lines += [f"{name}: {_said(value)}" for name, value in self.settings.items()]
        lines += [f"{name.replace('_', ' ')}: {_said(value)}" for name, value in self.training.items()]
        if self.steps is not None:
            lines.append(f"steps: {self.steps:,}" + (f", last loss {self.last_loss:.3f}" if self.last_loss else ""))
        shown = [score for score in self.scores if score["subset"] == "all" and score["model"] == "adapter"]
        lines += [score_line(str(self.settings.get("language", "")), score) for score in shown]
        return "\n".join(lines)


def adapter_info(folder: str | Path) -> AdapterInfo:
    """Read what an adapter's folder, and the record of its training beside it, say.

    Args:
        folder: an adapter as training wrote it or as it was prepared for the Hub, or the folder of its training.

    Raises:
        MellaError: when the folder is not a whole adapter.
    """
    folder = Path(folder)
    if (folder / DONE_FILE).is_file() and (folder / "adapter").is_dir():
        folder = folder / "adapter"
    config = read_adapter_config(folder)
    weights = next(folder / name for name in ADAPTER_WEIGHTS if (folder / name).is_file())
    prepared = _read(folder / PROVENANCE)
    record = _read(folder.resolve().parent / DONE_FILE)
    settings = prepared.get("recipe") or record.get("settings", {})
    if "language" in prepared:
        settings = {"language": prepared["language"], **settings}
    log = record.get("log_history", [])
    losses = [entry["loss"] for entry in log if "loss" in entry]
    facts = prepared.get("training") or record
    return AdapterInfo(
        folder=folder,
        base=str(config.get("base_model_name_or_path")),
        weights_bytes=weights.stat().st_size,
        lora={name: config[name] for name in LORA if name in config},
        settings={name: settings[name] for name in ("language", *SETTINGS) if settings.get(name) not in (None, -1)},
        training={name: value for name, value in facts.items() if name not in ("settings", "log_history")},
        steps=max((entry["step"] for entry in log if "step" in entry), default=None),
        last_loss=losses[-1] if losses else None,
        scores=prepared.get("scores", []),
    )


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
