"""Convert an original InternVL2 checkpoint to a folder that `AutoModelForImageTextToText` can load.

The original is remote code that current transformers cannot run. None of it runs here: the weights are read from
safetensors, one shard at a time, so memory holds one shard, however large the model is.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.files import write_atomic
from mella_hf.progress import progress_bar
from mella_hf.stage import fingerprint
from mella_hf.training.internvl2.config import native_config, save_configuration
from mella_hf.training.internvl2.original import read_config, read_json
from mella_hf.training.internvl2.tokenizer import load_tokenizer
from mella_hf.training.internvl2.weights import Shape, native_names, native_shapes, native_tensors

if TYPE_CHECKING:
    from transformers import InternVLConfig

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
RECORD = "conversion.json"  # which source a finished folder was made of
MARK = ".source"  # the same, in a folder that is not finished
MAX_PATCHES = 6  # tiles of an image in the paper's training, a thumbnail not counted
_VERSION = 1  # version of the conversion; after a change it runs again
_HUB_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "tokenizer.model")
_SHOWN = 5  # names in an error
_SHARD = re.compile(r"[\w][\w.+-]{0,99}\.safetensors")  # a file's name without a folder
_FLOATS = ("F32", "F16", "BF16")  # as safetensors calls them


@dataclass(frozen=True)
class Heads:
    """Heads of the language model: of queries, and of keys and values."""

    queries: int
    keys: int


def convert_internvl2(
    source: Path | str,
    out: Path | str,
    *,
    revision: str | None = None,
    max_patches: int = MAX_PATCHES,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> Path:
    """Convert an original checkpoint; an interrupted conversion continues where it stopped.

    Args:
        source: folder of the checkpoint, or its name on the Hub (only safetensors, JSON and the tokenizer's model
            are downloaded, no code).
        out: the folder to write; must not exist, unless this very conversion wrote it.
        revision: branch, tag or commit of a checkpoint on the Hub; main by default.
        max_patches: most tiles of an image that the processor makes, thumbnail not counted.
        say: receives a line when there is nothing to do.

    Returns:
        `out`.

    Raises:
        MellaError: if the folder is not a checkpoint, is pickled, or its parameters do not fit the native model.
    """
    source, out = _source_folder(str(source), revision), Path(out)
    if max_patches < 1:
        raise MellaError(f"max_patches is {max_patches}; give at least 1.")
    original = read_config(source / "config.json")
    tokenizer = load_tokenizer(source)
    config = native_config(original, tokenizer)
    heads = Heads(original.llm_config.num_attention_heads, original.llm_config.num_key_value_heads)
    shards, index = checkpoint_shards(source)
    check_parameters(shards, config, heads, index)
    mark = fingerprint(
        _VERSION, max_patches, [(path.name, *_stamp(path)) for path in [*shards, source / "config.json"]]
    )
    if (out / RECORD).is_file() and read_json(out / RECORD).get("source") == mark:
        say(f"{out} is converted already.")
        return out
    if out.exists():
        raise MellaError(f"{str(out)!r} exists; remove it, or name another folder.")
    partial = _partial_folder(out, mark)
    sizes = convert_shards(shards, partial, heads, progress)
    _write_index(shards, partial, sizes)
    save_configuration(partial, original, tokenizer, max_patches)
    write_atomic(partial / RECORD, json.dumps({"source": mark, "version": _VERSION}))
    (partial / MARK).unlink()
    os.replace(partial, out)
    return out


def checkpoint_shards(folder: Path) -> tuple[list[Path], dict[str, str] | None]:
    """The safetensors files of a checkpoint, in order, and its index: parameter -> file; None where there is none.

    Raises:
        MellaError: when there are none (pickles are not read: loading one runs code), or one of the index is missing.
    """
    index = _read_index(folder / INDEX) if (folder / INDEX).is_file() else None
    if index is not None and (folder / SINGLE).is_file() and SINGLE not in index.values():
        raise MellaError(
            f"{folder} has both {SINGLE} and the files of {INDEX}, so the model could be either; move one of them away."
        )
    names = [SINGLE] if index is None else sorted(set(index.values()))
    missing = [name for name in names if not (folder / name).is_file()]
    if not missing:
        return [folder / name for name in names], index
    pickled = sorted(folder.glob("*.bin"))
    if missing == [SINGLE] and pickled:
        raise MellaError(
            f"The checkpoint in {folder} is pickled ({pickled[0].name}), and loading that could run code. "
            "Download the safetensors files of the model's repo instead."
        )
    raise MellaError(
        f"The checkpoint in {folder} lacks {missing[0]} ({len(missing)} of {len(names)} files); download it again."
    )


def check_parameters(
    shards: list[Path], config: "InternVLConfig", heads: Heads, index: dict[str, str] | None = None
) -> None:
    """Raise MellaError unless the checkpoint has just the parameters of the native model, in its shapes.

    Reads the headers of the files only.

    Args:
        index: parameter -> file, as the index says; compared with the files.
    """
    import torch
    from transformers import InternVLForConditionalGeneration

    with torch.device("meta"):
        native = InternVLForConditionalGeneration(config).state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in native.items()}
    found: dict[str, Shape] = {}
    problems: dict[str, list[str]] = {
        "unexpected": [], "missing": [], "there twice": [], "of another shape": [], "no floating-point numbers": [],
        "in another file than the index says": [],
    }  # fmt: skip
    for path in shards:
        for name, (shape, kind) in _header(path).items():
            names = native_names(name)
            shapes = native_shapes(name, shape, heads.queries, heads.keys)
            if not names:
                problems["unexpected"].append(name)
            if kind not in _FLOATS:
                problems["no floating-point numbers"].append(f"{name} is {kind}")
            if any(native in found for native in names):
                problems["there twice"].append(name)
            if index is not None and index.pop(name, None) != path.name:
                problems["in another file than the index says"].append(name)
            found.update(zip(names, shapes, strict=bool(names)))
    problems["unexpected"] += sorted(found.keys() - expected.keys())
    problems["missing"] += sorted(expected.keys() - found.keys())
    problems["in another file than the index says"] += sorted(index or ())
    problems["of another shape"] += [
        f"{name} is {list(found[name])}, not {list(shape)}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    said = [f"{len(names)} {what} ({_some(names)})" for what, names in problems.items() if names]
    if said:
        raise MellaError(
            f"The parameters do not fit config.json: {'; '.join(said)}. "
            "Download the checkpoint again, with its config.json."
        )


def _header(path: Path) -> dict[str, tuple[Shape, str]]:
    """Shape and type of each parameter of a safetensors file. Raises MellaError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
            return {name: (tuple(one.get_shape()), one.get_dtype()) for name, one in slices.items()}
    except (SafetensorError, OSError) as error:
        raise MellaError(f"{path} is not a complete safetensors file ({error}); download it again.") from error


def convert_shards(shards: list[Path], out: Path, heads: Heads, progress: bool = True) -> dict[str, dict[str, int]]:
    """Write each shard that is not written yet, under its own name.

    Returns:
        File name -> native parameter -> bytes.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    sizes: dict[str, dict[str, int]] = {}
    for path in progress_bar(shards, desc="Converting", unit="shard", shown=progress):
        target = out / path.name
        if not target.exists():
            tensors: dict[str, Any] = {}
            with safe_open(path, "pt") as file:
                for name in file.keys():  # noqa: SIM118
                    tensors.update(native_tensors(name, file.get_tensor(name), heads.queries, heads.keys))
                aside = out / f".{path.name}.tmp"
                save_file(tensors, aside, metadata={"format": "pt"})
            del tensors
            os.replace(aside, target)
        with safe_open(target, "pt") as file:
            sizes[path.name] = {name: file.get_tensor(name).nbytes for name in file.keys()}  # noqa: SIM118
    return sizes


def _write_index(shards: list[Path], out: Path, sizes: dict[str, dict[str, int]]) -> None:
    if [path.name for path in shards] == [SINGLE]:
        return
    index = {
        "metadata": {"total_size": sum(size for file in sizes.values() for size in file.values())},
        "weight_map": {name: file for file, names in sorted(sizes.items()) for name in names},
    }
    write_atomic(out / INDEX, json.dumps(index, indent=2, sort_keys=True) + "\n")


def _partial_folder(out: Path, mark: str) -> Path:
    """The partial folder of an interrupted conversion beside `out`, or a new one."""
    partial = out.with_name(f".{out.name}.partial")
    record = partial / MARK
    if not record.is_file() or record.read_text("utf-8") != mark:
        shutil.rmtree(partial, ignore_errors=True)
        write_atomic(record, mark)
    return partial


def _source_folder(source: str, revision: str | None) -> Path:
    if Path(source).is_dir():
        if revision is not None:
            raise MellaError(f"{source!r} is a folder, which has no revision {revision!r}; leave --revision out.")
        return Path(source)
    from huggingface_hub import snapshot_download

    from mella_hf.hub_errors import hub_errors

    with hub_errors(source, "download"):
        return Path(snapshot_download(source, revision=revision, allow_patterns=list(_HUB_FILES)))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _read_index(path: Path) -> dict[str, str]:
    """Parameter -> file. Files are names without folders, so that none leaves the checkpoint or stands for two."""
    files = read_json(path).get("weight_map")
    if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
        raise MellaError(f"{path} has no weight_map of parameters to files; download it again.")
    for name in sorted(set(files.values())):
        if not _SHARD.fullmatch(name):
            raise MellaError(
                f"{path} names the file {name[:80]!r}; only .safetensors files beside it are read. Move all files into "
                "one folder, and write their names into the index."
            )
    return files
