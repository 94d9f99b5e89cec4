"""What a model is: a folder is known by the sha256 of its files, a model on the Hub by its commit.

Predictions, adapters and cards carry this identity, so that those of one model are never taken for another's.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterable
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from mella_hf.answers.records import ModelIdentity
from mella_hf.errors import MellaError
from mella_hf.hub_errors import hub_errors, status_of
from mella_hf.progress import progress_bar

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
COMMIT_DIGITS = 40  # of a commit's name; a sha256 has 64
CHUNK = 1 << 22  # bytes read at a time while hashing


def model_name(model: str | Path) -> str:
    """A model's public name: its Hub id, a miniature's own name, or the name of its folder without the path."""
    config = Path(model) / "config.json"
    mark = json.loads(config.read_text("utf-8")).get("mella_miniature") if config.is_file() else None
    if mark:
        return str(mark).partition(":")[0]  # written by mella_hf.demo.pretrain: "name: what it is"
    return Path(model).resolve().name if Path(model).is_dir() else str(model)


def model_identity(base: str, adapter: str | Path | None = None, revision: str | None = None) -> ModelIdentity:
    """The identity of a model: names and content hashes of base, adapter and processor.

    Args:
        revision: branch, tag or commit of a base on the Hub; by default the one that the adapter was trained on, else
            main.

    Raises:
        MellaError: if the folder is not an adapter, or it was trained on another base.
    """
    revision = revision or recorded_revision(base, [adapter])
    base_hash = content_hash(base, revision)
    identity: ModelIdentity = {"base": str(base), "base_hash": base_hash, "adapter": None, "adapter_hash": None}
    if adapter is not None:
        check_adapter(base, adapter, revision)
        identity["adapter"], identity["adapter_hash"] = str(adapter), content_hash(str(adapter))
    return identity


def content_hash(name: str, revision: str | None = None) -> str:
    """The sha256 of a model folder's content, or the commit of a Hub id. Raises MellaError if it is neither."""
    return folder_hash(Path(name)) if Path(name).is_dir() else hub_commit(name, revision)


def folder_hash(folder: Path) -> str:
    """The sha256 of a model folder's weights, configuration and processor files."""
    stats = [(path, path.stat()) for path in model_files(folder)]
    return _files_hash(tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats))


@cache
def _files_hash(files: tuple[tuple[Path, int, int], ...]) -> str:
    """The sha256 of files, cached by path, size and time: a base of 16 GB is read once for all of its adapters."""
    digest = hashlib.sha256()
    size = sum(size for _, size, _ in files)
    with progress_bar(total=size, desc="hash of the model", unit="B", unit_scale=True, delay=2) as bar:
        for path, _, _ in files:
            digest.update(path.name.encode("utf-8") + b"\0")
            with open(path, "rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    bar.update(len(chunk))
    return digest.hexdigest()


def model_files(folder: Path) -> list[Path]:
    """The files that answers depend on; not the card, training states or checkpoints."""
    files = (path for path in folder.iterdir() if path.is_file())
    return sorted(path for path in files if any(fnmatch(path.name, pattern) for pattern in MODEL_FILES))


@cache
def from_cache_alone(name: str) -> bool:
    """Whether a model must come from the local cache because its Hub does not answer; False for a folder.

    What transformers asks without this is tried again for minutes, or waited for without an end. A model that is not in
    the cache needs just that patience.
    """
    from huggingface_hub import HfApi, is_offline_mode, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, HTTPError

    if Path(name).is_dir() or is_offline_mode():  # offline, no request is sent anyway
        return False
    try:
        if not isinstance(try_to_load_from_cache(name, "config.json"), str):
            return False
    except HFValidationError:  # no name that the Hub could have
        return False
    for wait in (1.0, 0.0):
        try:
            HfApi().model_info(name, timeout=10)
            return False
        except json.JSONDecodeError:  # the login page of a network
            pass
        except HTTPError as error:
            status = status_of(error)
            if status is not None and status < 500 and status != 429:
                return False
        except (OSError, ValueError):
            return False
        time.sleep(wait)
    return True


@cache
def hub_commit(repo_id: str, revision: str | None = None) -> str:
    """The commit of a model's name and revision on the Hub, or in the local cache when that cannot be reached.

    Raises:
        MellaError: if the Hub has no such model or revision, or denies access.
    """
    from huggingface_hub import hf_hub_download

    with hub_errors(repo_id, "read the model"):
        # The cache keeps a commit's files in snapshots/COMMIT.
        local = from_cache_alone(repo_id)
        return Path(hf_hub_download(repo_id, "config.json", revision=revision, local_files_only=local)).parent.name


def read_adapter_config(adapter: str | Path) -> dict[str, Any]:
    """Read the adapter's adapter_config.json. Raises MellaError if the folder is not a complete adapter."""
    folder = Path(adapter)
    if not folder.is_dir():
        raise MellaError(
            f"No adapter at {str(folder)!r}: the folder does not exist. Give the folder that training wrote "
            f"(it holds {ADAPTER_CONFIG})."
        )
    if not (folder / ADAPTER_CONFIG).is_file():
        inside = next(iter(sorted(folder.glob(f"*/{ADAPTER_CONFIG}"))), None)
        raise MellaError(
            f"{str(folder)!r} is not an adapter: it holds no {ADAPTER_CONFIG}. "
            + (f"Give {str(inside.parent)!r}, which does." if inside else "Give the folder that training wrote.")
        )
    if not any((folder / name).is_file() for name in ADAPTER_WEIGHTS):
        parts = sorted(path.name for path in folder.glob("adapter_model*-of-*"))
        raise MellaError(
            f"The adapter {str(folder)!r} has no weights: {ADAPTER_WEIGHTS[0]} is missing. "
            + (
                f"It is in {len(parts)} parts, such as {parts[0]}, which PEFT does not read; save it in one file."
                if parts
                else "Training may have been interrupted; run it again and it resumes."
            )
        )
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8"))
    except ValueError as error:
        raise MellaError(f"{folder / ADAPTER_CONFIG} is not JSON: {error}. Save the adapter again.") from error
    if not isinstance(config, dict) or not isinstance(config.get("peft_type"), str):
        raise MellaError(f"{folder / ADAPTER_CONFIG} names no peft_type, such as LORA. Save the adapter again.")
    if not isinstance(config.get("base_model_name_or_path"), str | None):
        raise MellaError(
            f"base_model_name_or_path in {folder / ADAPTER_CONFIG} is {config['base_model_name_or_path']!r}; "
            "write the base's name on the Hub, its folder, or null there."
        )
    return config


def check_adapter(base: str, adapter: str | Path, revision: str | None = None) -> None:
    """Raise MellaError if the adapter was trained on another base.

    A prepared adapter records a hash of its base. Another adapter records a name and, for a base on the Hub, a commit.
    A base may have moved: a Hub id and a folder with the same name count as the same model.
    """
    config = read_adapter_config(adapter)
    provenance = Path(adapter) / PROVENANCE
    if provenance.is_file():
        _check_content(base, revision, adapter, json.loads(provenance.read_text("utf-8")))
        return
    trained_on, commit = config.get("base_model_name_or_path"), config.get("revision")
    if trained_on and _last_name(trained_on) not in (_last_name(base), model_name(base).lower()):
        raise MellaError(
            f"The adapter {str(adapter)!r} was trained on the base {trained_on!r}, not on {base!r}. "
            f"Evaluate it with --base {trained_on}; if both are the same model under two names, "
            f"correct base_model_name_or_path in {Path(adapter) / ADAPTER_CONFIG}."
        )
    if not commit or trained_on != base or Path(base).is_dir():
        return
    if hub_commit(base, revision) != hub_commit(base, commit):
        raise MellaError(
            f"The adapter {str(adapter)!r} was trained on {base!r} at revision {commit}, not at {revision or 'main'}. "
            f"Give --revision {commit}."
        )


def _last_name(base: str) -> str:
    """A base's name without the path before it, of any system, in lower case; in a cache of the Hub, its name there."""
    parts = re.split(r"[/\\]", str(base).rstrip("/\\").lower())
    cached = next((part for part in parts if part.startswith("models--")), None)
    name = parts[-1] if cached is None else cached.rsplit("--", 1)[-1]
    return name.replace("___", ".")  # as ModelScope's cache writes a dot


def _check_content(base: str, revision: str | None, adapter: str | Path, provenance: dict[str, Any]) -> None:
    """Check a prepared adapter's base by content: a base with the same name may have been trained again since."""
    expected = provenance["models"]["adapter"]["base_hash"]
    found = base_hash_like(expected, base, revision)
    if expected != found:
        raise MellaError(
            f"The adapter {str(adapter)!r} was evaluated on another base than {base!r}: its {PROVENANCE} has "
            f"{expected[:16]}, this base is {found[:16]}. Give the base that it was trained on, or train again."
        )


def base_hash_like(expected: str, base: str, revision: str | None = None) -> str:
    """The base's hash, of the kind that `expected` is: a base that was a folder may be on the Hub by now."""
    if len(expected) == COMMIT_DIGITS or Path(base).is_dir():
        return content_hash(base, revision)
    from huggingface_hub import snapshot_download

    with hub_errors(base, "read the model"):
        return folder_hash(Path(snapshot_download(base, revision=revision, allow_patterns=list(MODEL_FILES))))


def recorded_revision(base: str, adapters: Iterable[str | Path | None]) -> str | None:
    """The commit of a base on the Hub that adapters were trained on, from the first adapter that records it.

    Args:
        adapters: folders; folders of whole models and of other bases are ignored.
    """
    for adapter in adapters:
        path = Path(adapter or "") / ADAPTER_CONFIG
        if adapter is None or not path.is_file():
            continue
        config = read_adapter_config(adapter)
        if config.get("base_model_name_or_path") == base and config.get("revision"):
            return str(config["revision"])
    return None
