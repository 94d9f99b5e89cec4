"""Load a base model, with or without an adapter, and compute an identity for it.

The identity contains hashes of the weights, so that predictions of one model are never mistaken for another's.
"""

import hashlib
import json
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError

ADAPTER_CONFIG = "adapter_config.json"
PROVENANCE = "provenance.json"  # written by mella_hf.hub.push into a prepared adapter
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
MODEL_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "pytorch_model*.bin",
    "adapter_model.bin",
    "adapter_config.json",
    "config.json",
    "generation_config.json",
    "*processor_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.*",
)
CHUNK = 1 << 22  # bytes read at a time while hashing


def load_model(base: str, adapter: str | Path | None = None, *, device: str | None = None) -> tuple[Any, Any]:
    """The model, in evaluation mode, and its processor.

    Args:
        base: Hub id or folder of an image-text-to-text model.
        adapter: folder of a PEFT adapter of that base; its own chat template is used where it has one.
        device: "cuda", "cpu", ...; the accelerator where there is one by default.

    Raises:
        MellaError: when either cannot be loaded, or when the adapter belongs to another base.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    if adapter is not None:
        check_adapter(base, adapter)
    try:
        model: Any = AutoModelForImageTextToText.from_pretrained(base, dtype="auto")
        processor = AutoProcessor.from_pretrained(processor_source(base, adapter))
    except (OSError, ValueError, KeyError) as error:
        raise MellaError(
            f"Cannot load the base model {base!r}: {_first_line(error)} "
            "Give a Hub id or a folder with config.json, weights and processor files."
        ) from error
    if adapter is not None:
        from peft import PeftModel

        try:
            model = PeftModel.from_pretrained(model, str(adapter))
        except (RuntimeError, ValueError) as error:  # torch names the shapes, PEFT the modules that do not fit
            raise MellaError(
                f"The adapter {str(adapter)!r} does not fit the base model {base!r}: {_first_line(error)} "
                "Pass as base the model that the adapter was trained on."
            ) from error
    if device is None:
        device = str(torch.accelerator.current_accelerator() or "cpu") if torch.accelerator.is_available() else "cpu"
    return model.to(device).eval(), processor


def model_name(model: str | Path) -> str:
    """What to call a model in public: its Hub id, a miniature's own name, or the name of its folder without the way."""
    config = Path(model) / "config.json"
    if config.is_file() and (mark := json.loads(config.read_text("utf-8")).get("mella_miniature")):
        return str(mark).partition(":")[0]  # written by mella_hf.demo.pretrain: "name: what it is"
    return Path(model).resolve().name if Path(model).is_dir() else str(model)


def processor_source(base: str, adapter: str | Path | None) -> str:
    """Where the processor comes from: the adapter's folder where it carries one, else the base."""
    if adapter is not None and (Path(adapter) / "tokenizer_config.json").exists():
        return str(adapter)
    return base


def read_adapter_config(adapter: str | Path) -> dict[str, Any]:
    """The adapter's adapter_config.json. Raises MellaError when the folder is not a whole adapter."""
    folder = Path(adapter)
    if not folder.is_dir():
        raise MellaError(
            f"No adapter at {str(folder)!r}: there is no such folder. Give the folder that training wrote "
            f"(it holds {ADAPTER_CONFIG})."
        )
    if not (folder / ADAPTER_CONFIG).is_file():
        raise MellaError(
            f"{str(folder)!r} is not an adapter: it holds no {ADAPTER_CONFIG}. Give the folder that training wrote."
        )
    if not any((folder / name).is_file() for name in ADAPTER_WEIGHTS):
        raise MellaError(
            f"The adapter {str(folder)!r} has no weights: {ADAPTER_WEIGHTS[0]} is missing. "
            "Training may have been cut short; run it again and it resumes."
        )
    try:
        return json.loads((folder / ADAPTER_CONFIG).read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise MellaError(f"{folder / ADAPTER_CONFIG} is not JSON: {error}. Save the adapter again.") from error


def check_adapter(base: str, adapter: str | Path) -> None:
    """Raise MellaError when the adapter says that it was trained on another base.

    A base may have moved: a Hub id and a folder of the same name count as the same model.
    """
    trained_on = read_adapter_config(adapter).get("base_model_name_or_path")
    if trained_on and Path(trained_on).name.lower() not in (Path(base).name.lower(), model_name(base).lower()):
        raise MellaError(
            f"The adapter {str(adapter)!r} was trained on the base {trained_on!r}, not on {base!r}. "
            f"Evaluate it with --base {trained_on}; if both are the same model under two names, "
            f"correct base_model_name_or_path in {Path(adapter) / ADAPTER_CONFIG}."
        )


def model_identity(base: str, adapter: str | Path | None = None) -> dict[str, Any]:
    """What the predictions of a model depend on: names and content hashes of base, adapter and processor.

    A folder is known by the sha256 of its weights, configuration and processor files; a Hub id by the
    commit that its name stands for in the local cache or on the Hub.

    Raises:
        MellaError: when the adapter is not one, or was trained on another base.
    """
    base_hash = content_hash(str(base))
    identity: dict[str, Any] = {"base": str(base), "base_hash": base_hash, "adapter": None, "adapter_hash": None}
    if adapter is not None:
        check_adapter(base, adapter)
        _check_base_hash(base_hash, base, adapter)
        identity.update(adapter=str(adapter), adapter_hash=content_hash(str(adapter)))
    return identity


def _check_base_hash(base_hash: str, base: str, adapter: str | Path) -> None:
    """A prepared adapter knows its base by content: a base of the same name may have been trained anew since."""
    path = Path(adapter) / PROVENANCE
    if not path.is_file():
        return
    expected = json.loads(path.read_text("utf-8"))["models"]["adapter"]["base_hash"]
    if expected != base_hash:
        raise MellaError(
            f"The adapter {str(adapter)!r} was evaluated on another base than {base!r}: its {PROVENANCE} says "
            f"{expected[:16]}, this base is {base_hash[:16]}. Give the base that it was trained on, or train again."
        )


def content_hash(name: str) -> str:
    """The sha256 of a model folder's content, or the commit of a Hub id. Raises MellaError when it is neither."""
    folder = Path(name)
    if not folder.is_dir():
        return _commit_hash(name)
    stats = [(path, path.stat()) for path in model_files(folder)]
    return _files_hash(tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats))


@cache
def _files_hash(files: tuple[tuple[Path, int, int], ...]) -> str:
    """The sha256 of files, known by path, size and time: a base of 16 GB is read once for all of its adapters."""
    from tqdm import tqdm

    digest = hashlib.sha256()
    size = sum(size for _, size, _ in files)
    with tqdm(total=size, desc="hash of the model", unit="B", unit_scale=True, delay=2) as bar:
        for path, _, _ in files:
            digest.update(path.name.encode("utf-8") + b"\0")
            with open(path, "rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    bar.update(len(chunk))
    return digest.hexdigest()


def model_files(folder: Path) -> list[Path]:
    """The files that answers depend on; a card, training states and checkpoints are none of them."""
    files = (path for path in folder.iterdir() if path.is_file())
    return sorted(path for path in files if any(fnmatch(path.name, pattern) for pattern in MODEL_FILES))


def _commit_hash(repo_id: str) -> str:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(repo_id)
    except (OSError, ValueError) as error:
        raise MellaError(
            f"No base model {repo_id!r}: it is neither a folder nor a model that the Hub gives out. "
            f"{_first_line(error)}"
        ) from error
    return str(config._commit_hash)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:300]}" if lines else type(error).__name__
