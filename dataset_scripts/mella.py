"""The `datasets` builder behind `load_dataset("mella", "ar")`: reads Parquet from a folder or the Hub.

This file is also the loading script `dataset_scripts/mella.py`, byte for byte. So it is a single file and imports from
`mella_hf` only what it can do without. Of the definition of a sound row (`mella_hf.dataset.checks`) it checks texts and
that images have bytes, in every row that it reads; that images decode and have the sha256 of their id, `mella verify`
checks once, since it costs a hundred times as much. Each split is prepared by itself: `split="know"` does not download
`ling`.
"""

import collections
import contextlib
import dataclasses
import glob
import hashlib
import io
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import datasets
import PIL.Image
import PIL.ImageOps
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets.table import table_cast
from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import HTTPError

try:
    from mella_hf.dataset.checks import text_problem
    from mella_hf.errors import MellaError
except ImportError:  # as a loading script, without the library

    class MellaError(ValueError):  # type: ignore[no-redef]
        """Bad input. The message says what is wrong, with which value, and how to mend it."""

    def text_problem(text: Any) -> str | None:
        """Only what needs no tables: the whole definition of a sound text is in the library."""
        return None if isinstance(text, str) and text.strip() else "text_missing"


try:
    from datasets.builder import Key  # datasets 5 names a table by its shard and its place there
except ImportError:

    def Key(shard: int, index: int) -> str:  # type: ignore[no-redef]  # noqa: N802
        """The name of a table for datasets before 5."""
        return f"{shard}_{index}"


logger = datasets.logging.get_logger("datasets.mella")  # with the handler and the level of datasets

MELLA_REPO = "mella-hf/mella"  # read when there is no data_dir; the environment variable MELLA_REPO goes first
LANGUAGES = ("ar", "cs", "hu", "ko", "ru", "sr", "th", "vi")
ALL = "all"  # the config that joins the languages
SPLITS = ("know", "ling", "know_test", "ling_test")
ORIENTATION = 0x0112  # the EXIF tag
BATCH_ROWS = 256  # a row group of the published layout
# Columns that are null in shards of earlier versions.
LATER = {"relevance": pa.float32(), "relevance_model": pa.string(), "keywords_by": pa.string()}

_HUB_URL = re.compile(r"hf://datasets/(?P<repo>[^@]+)@(?P<commit>[0-9a-f]{40})/(?P<path>.+)")
_LFS = b"version https://git-lfs"
_SHARD = re.compile(r"(?P<split>[a-z_]+)-(?P<index>\d{5})-of-(?P<total>\d{5})\.parquet")


@dataclass(frozen=True)
class ShardFile:
    """One Parquet file of a split. `version` changes whenever its content does."""

    language: str
    split: str
    total: int  # how many shards the split has
    url: str
    version: str


def list_local(folder: str) -> list[ShardFile]:
    """The shards of a dataset folder, `{language}/{split}-*.parquet`, in order. Raises MellaError."""
    if not os.path.isdir(folder):
        raise MellaError(f"data_dir={folder!r} is not a folder; give the folder that holds ar/, cs/ and so on.")
    if os.path.exists(os.path.join(folder, ".removal", "plan.json")):
        raise MellaError(f"{folder}: a removal was cut short; finish it with: mella verify {folder}")
    found = []
    for language in sorted(entry.name for entry in os.scandir(folder) if entry.is_dir()):
        home = f"{os.path.abspath(folder)}/{language}"
        for entry in sorted(os.scandir(home), key=lambda e: e.name):
            if (match := _SHARD.fullmatch(entry.name)) and match["split"] in SPLITS and entry.is_file():
                stat = entry.stat()
                # The place too: two folders may hold files of equal names, sizes and times.
                version = f"{os.path.realpath(entry.path)}-{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}"
                found.append(ShardFile(language, match["split"], int(match["total"]), entry.path, version))
    return found


def list_hub(repo: str, revision: str | None, token: Any, cache_dir: str | None = None) -> list[ShardFile]:
    """The shards of a Hub dataset repo in the same layout, pinned to today's commit.

    Offline, or when the Hub cannot be reached, they are those of the last time, as far as the cache knows them.

    Raises:
        MellaError: when the Hub refuses, or cannot be reached and the cache knows nothing of the repo.
    """
    known = _listing_file(repo, revision, cache_dir)
    problem: Exception = OSError("offline, as HF_DATASETS_OFFLINE or HF_HUB_OFFLINE says")
    for wait in () if datasets.config.HF_DATASETS_OFFLINE else (1.0, 0.0):
        try:
            info = HfApi(endpoint=datasets.config.HF_ENDPOINT, token=token).dataset_info(
                repo, revision=revision, files_metadata=True, timeout=10
            )
        except (HTTPError, OSError, ValueError) as error:
            problem = error
            status = getattr(getattr(error, "response", None), "status_code", None)
            # What is no JSON comes from a network's login page, not from the Hub.
            refused = isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError)
            if refused or (status is not None and status < 500 and status != 429):
                break  # the Hub has answered, and will not say anything else
            time.sleep(wait if status else 0)
        else:
            found = _hub_shards(repo, info)
            _keep_listing(known, found)
            return found
    else:
        if found := _read_listing(known) or _cached_shards(repo, revision):
            logger.warning("Cannot reach the Hub (%s); using what the cache has of %s.", type(problem).__name__, repo)
            return found
    said = f"{type(problem).__name__}: {str(problem).strip()}"
    if isinstance(problem, UnicodeEncodeError):
        said = "the token in HF_TOKEN has a character that is not ASCII, and cannot be sent"
    raise MellaError(
        f"Cannot read the dataset repo {repo!r} on the Hub ({said}). "
        "Pass data_dir=FOLDER to read a local dataset, name another repo in the environment variable "
        "MELLA_REPO, or log in with 'hf auth login' if the repo is private or gated."
    ) from problem


def _hub_shards(repo: str, info: Any) -> list[ShardFile]:
    found = []
    for file in sorted(info.siblings or [], key=lambda f: f.rfilename):
        version = file.lfs.sha256 if file.lfs else str(file.blob_id)
        found += _shard(repo, info.sha, file.rfilename, version)
    return found


def _shard(repo: str, commit: str, path: str, version: str) -> list[ShardFile]:
    """The shard at a path of a repo; none where something else is."""
    language, _, name = path.rpartition("/")
    match = _SHARD.fullmatch(name)
    if not match or match["split"] not in SPLITS or not language or "/" in language:
        return []
    return [ShardFile(language, match["split"], int(match["total"]), f"hf://datasets/{repo}@{commit}/{path}", version)]


def _listing_file(repo: str, revision: str | None, cache_dir: str | None) -> str:
    name = hashlib.sha256(f"{datasets.config.HF_ENDPOINT} {repo} {revision}".encode()).hexdigest()[:16]
    home = os.path.expanduser(str(cache_dir or datasets.config.HF_DATASETS_CACHE))
    return os.path.join(home, "mella_listings", f"{repo.replace('/', '--')}-{name}.json")


def _keep_listing(path: str, shards: list[ShardFile]) -> None:
    """Keep a listing for the times when the Hub cannot be reached. A cache that is read only stays as it is."""
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        aside = f"{path}.{os.getpid()}.tmp"
        with open(aside, "w", encoding="utf-8") as file:
            json.dump([dataclasses.astuple(shard) for shard in shards], file)
        os.replace(aside, path)


def _read_listing(path: str) -> list[ShardFile]:
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [ShardFile(*row) for row in json.load(file)]


def _cached_shards(repo: str, revision: str | None) -> list[ShardFile]:
    """The whole splits that another program left in the Hub's cache, such as plain `load_dataset` or `hf download`."""
    home = os.path.join(HF_HUB_CACHE, f"datasets--{repo.replace('/', '--')}")
    commit = revision or "main"
    ref = os.path.join(home, "refs", commit)
    if os.path.isfile(ref):
        with open(ref, encoding="utf-8") as file:
            commit = file.read().strip()
    snapshot = os.path.join(home, "snapshots", commit)
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(snapshot), "*", "*.parquet"))):
        # What a link of the cache leads to is named by its content.
        version = os.path.basename(os.path.realpath(path))
        found += _shard(repo, commit, os.path.relpath(path, snapshot).replace(os.sep, "/"), version)
    counts = collections.Counter((shard.language, shard.split) for shard in found)
    return [shard for shard in found if counts[shard.language, shard.split] == shard.total]


def local_copy(url: str) -> str:
    """The file in the Hub's cache that holds what a URL of a shard names, or the URL itself."""
    if not (match := _HUB_URL.fullmatch(url)):
        return url
    cached = try_to_load_from_cache(match["repo"], match["path"], revision=match["commit"], repo_type="dataset")
    return cached if isinstance(cached, str) else url


def select_config(shards: list[ShardFile], config: str | None, where: str) -> list[ShardFile]:
    """The shards of one language, or of all. Raises MellaError, naming the configs that are there."""
    languages = sorted({shard.language for shard in shards})
    if not languages:
        raise MellaError(
            f"{where} holds no dataset: found no LANGUAGE/SPLIT-00000-of-0000N.parquet in it. "
            "Give the folder that 'mella build --out' wrote, not one above or below it."
        )
    choices = f"{where} has {', '.join(languages)} and {ALL!r}"
    if config is None:
        raise MellaError(f"Name a language, as in load_dataset('mella', {languages[0]!r}); {choices}.")
    if config != ALL and config not in languages:
        raise MellaError(f"Unknown language {config!r}; {choices}.")
    chosen = [shard for shard in shards if config in (ALL, shard.language)]
    for language, split in sorted({(s.language, s.split) for s in chosen}):
        there = [s for s in chosen if (s.language, s.split) == (language, split)]
        if {s.total for s in there} != {len(there)}:
            raise MellaError(
                f"{where} holds {len(there)} of {max(s.total for s in there)} shards of {language}/{split}; "
                "fetch or build the missing ones, or take the stray ones away."
            )
    return chosen


def config_names(data_dir: str | None, revision: str | None = None, token: Any = None) -> list[str]:
    """The configs of a folder, or of the repo on the Hub: its languages, and `all`. Raises MellaError."""
    if data_dir is not None:
        shards = list_local(os.path.expanduser(data_dir))
    else:
        shards = list_hub(os.environ.get("MELLA_REPO") or MELLA_REPO, revision, token)
    select_config(shards, ALL, f"data_dir={data_dir!r}" if data_dir else "The dataset repo")
    return [*sorted({shard.language for shard in shards}), ALL]


def fingerprint(shards: Iterable[ShardFile], *settings: Any) -> str:
    """16 hex digits that change when a shard or a setting does."""
    text = repr(([(s.language, s.split, s.url.rsplit("/", 1)[-1], s.version) for s in shards], settings))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class MellaConfig(datasets.BuilderConfig):
    """One language, or `all`.

    Attributes:
        columns: read only these columns; all of them by default.
        resize: decode images to fit into a square of this many pixels, never enlarged; JPEGs are decoded
            at a fraction of their size where that is enough. Full size by default.
        check_texts: refuse texts that must not be trained on; False for a reader that names or counts them itself.
    """

    columns: list[str] | None = None
    resize: int | None = None
    check_texts: bool = True

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Any = None) -> str:
        """The config's part of the cache key; each split adds what its shards hold (`Mella.as_dataset`)."""
        unchecked = [] if self.check_texts else ["texts unchecked"]
        return f"{self.name}-{fingerprint([], self.columns, str(custom_features), *unchecked)}"


class Mella(datasets.ArrowBasedBuilder):
    """The MELLA dataset: one config a language and `all`; splits know, ling, know_test, ling_test."""

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = MellaConfig
    BUILDER_CONFIGS = [MellaConfig(name=name) for name in (*LANGUAGES, ALL)]

    def __init__(
        self,
        cache_dir: str | None = None,
        config_name: str | None = None,
        data_dir: str | None = None,
        data_files: Any = None,
        token: Any = None,
        revision: str | None = None,
        **kwargs: Any,
    ):
        if data_files is not None:
            raise MellaError("The mella dataset takes no data_files; give its folder as data_dir.")
        resize = kwargs.get("resize")
        if resize is not None and (isinstance(resize, bool) or not isinstance(resize, int) or resize < 1):
            raise MellaError(f"resize={resize!r} is not a size; give pixels, such as resize=448.")
        if data_dir is not None:
            if revision is not None:
                raise MellaError(f"revision={revision!r} is for a Hub repo; a data_dir has none.")
            where, shards = f"data_dir={data_dir!r}", list_local(os.path.expanduser(data_dir))
        else:
            repo = os.environ.get("MELLA_REPO") or MELLA_REPO
            where, shards = f"The dataset repo {repo!r}", list_hub(repo, revision, token, cache_dir)
        self.shards = select_config(shards, config_name, where)
        self.BUILDER_CONFIGS = []  # for this instance: the data may hold a language that LANGUAGES does not
        self._only: list[str] | None = None  # the splits that are asked for; the files of others are not touched
        self._preparation: dict[str, Any] = {}
        super().__init__(cache_dir=cache_dir, config_name=config_name, data_dir=data_dir, token=token, **kwargs)

    @property
    def split_names(self) -> list[str]:
        """The splits that are there, training first."""
        there = {shard.split for shard in self.shards}
        return [split for split in SPLITS if split in there]

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(description="Image-text pairs in low-resource languages (arXiv 2508.05502).")

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        generators = []
        for split in self._only or self.split_names:
            urls = [local_copy(shard.url) for shard in self.shards if shard.split == split]
            if datasets.config.HF_DATASETS_OFFLINE and (missing := [url for url in urls if url.startswith("hf://")]):
                raise MellaError(f"Offline, and the cache lacks {missing[0]}; load the split {split!r} once online.")
            try:
                files = dl_manager.download(urls)
                with open_shard(files[0]) as parquet:
                    self.info.features = record_features(parquet.schema_arrow, self.config.columns, self.info.features)
            except (HTTPError, json.JSONDecodeError) as error:  # the Hub went away, or a login page answers for it
                said = next(iter(str(error).splitlines()), "")
                raise MellaError(
                    f"Cannot read the split {split!r} from the Hub ({type(error).__name__}: {said}), and the cache "
                    "lacks it; try again when the Hub can be reached."
                ) from error
            # Lists of one length, so that datasets can share them out: a file is a shard.
            gen_kwargs = {"files": files, "row_groups": [None] * len(files)}
            generators.append(datasets.SplitGenerator(name=split, gen_kwargs=gen_kwargs))
        return generators

    def _generate_tables(self, files: list[str], row_groups: list[Any]) -> Iterator[tuple[Any, pa.Table]]:
        schema = self.info.features.arrow_schema
        for shard, (path, groups) in enumerate(zip(files, row_groups, strict=True)):
            # ParquetFile reads in this thread's own pace: abandoning this generator leaves no reader
            # behind that could abort the interpreter at exit, as pyarrow.dataset's read-ahead does.
            with open_shard(path) as parquet:
                batches = parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=schema.names)
                for index, batch in enumerate(batches):
                    if self.config.check_texts:
                        guard_texts(batch, path)
                    table = times_as_text(pa.Table.from_batches([guard_images(batch)]), schema)
                    yield Key(shard, index), table_cast(table, schema)  # with nulls for columns that are not there

    def _generate_more_gen_kwargs(self, files: list[str], row_groups: list[Any]) -> Iterator[dict[str, Any]]:
        """One shard a row group, for `IterableDataset.reshard()`: more shards than files, for many ranks."""
        for path, groups in zip(files, row_groups, strict=True):
            if groups is None:
                with open_shard(path) as parquet:
                    groups = range(parquet.num_row_groups)
            yield {"files": [path] * len(groups), "row_groups": [(group,) for group in groups]}

    def download_and_prepare(self, output_dir: str | None = None, **kwargs: Any) -> None:
        """Prepare every split into `output_dir`; without one, leave each split to `as_dataset`.

        `load_dataset` calls this before it says which split it wants; waiting saves the download of the others.
        """
        if output_dir is None:
            self._preparation = kwargs
        else:
            super().download_and_prepare(output_dir, **kwargs)

    def as_dataset(self, split: Any = None, *, in_memory: bool = False, verification_mode: Any = None) -> Any:
        """The splits asked for (all of them by default), downloaded and prepared if they are not yet.

        Args:
            verification_mode: ignored; datasets before 4 passes here what it gave `download_and_prepare`.

        Raises:
            MellaError: on a split that is not there, naming those that are.
        """
        if split is None:
            split = {name: name for name in self.split_names}
        if isinstance(split, dict):
            return datasets.DatasetDict({key: self.as_dataset(one, in_memory=in_memory) for key, one in split.items()})
        if isinstance(split, (list, tuple)):
            return [self.as_dataset(one, in_memory=in_memory) for one in split]
        pieces = [self._prepared(name)._read(part, in_memory) for name, part in self._parts(split)]
        whole = pieces[0]
        if len(pieces) > 1:
            whole = datasets.concatenate_datasets(pieces, split=datasets.NamedSplit(str(split)))
        if self.config.resize is None or "image" not in whole.column_names:
            return whole
        return whole.cast_column("image", datasets.Image(decode=False)).with_transform(FitImages(self.config.resize))

    def as_streaming_dataset(self, split: Any = None, base_path: str | None = None) -> Any:
        """The splits as `IterableDataset`s. Raises MellaError on a split that is not there."""
        self._only = None if split is None else list(dict.fromkeys(name for name, _ in self._parts(split)))
        streams = self._streams(split, base_path)
        if self.config.resize is None or "image" not in self.info.features:
            return streams
        decode = FitImages(self.config.resize)
        streams = streams.cast_column("image", datasets.Image(decode=False))
        return streams.map(decode, batched=True, batch_size=16)

    def _streams(self, split: Any, base_path: str | None) -> Any:
        """What `datasets` streams; it joins the splits of `know_test+ling_test` only since version 5."""
        if split is None or "+" not in str(split):
            return super().as_streaming_dataset(split, base_path)
        pieces = [super(Mella, self).as_streaming_dataset(part, base_path) for _, part in self._parts(split)]
        return datasets.concatenate_datasets(pieces, split=datasets.NamedSplit(str(split)))

    def _parts(self, split: str | datasets.ReadInstruction) -> list[tuple[str, str]]:
        """`know[:10]+ling` as [("know", "know[:10]"), ("ling", "ling")]."""
        spec = split.to_spec() if isinstance(split, datasets.ReadInstruction) else str(split)
        if spec == "all":
            spec = "+".join(self.split_names)
        parts = [part.strip() for part in spec.split("+")]
        for part in parts:
            if (name := part.partition("[")[0]) not in self.split_names:
                raise MellaError(
                    f"Unknown split {name!r}; the config {self.config.name!r} has {', '.join(self.split_names)}."
                )
        return [(part.partition("[")[0], part) for part in parts]

    def _prepared(self, split: str) -> "Mella":
        """A copy of this builder that knows one split, prepared in a cache folder of that split's own."""
        part = self.__class__.__new__(self.__class__)
        part.__dict__.update(self.__dict__)
        part.info = self.info.copy()
        part._only = [split]
        part.config_id = f"{self.config_id}-{split}-{fingerprint(s for s in self.shards if s.split == split)}"
        part._cache_dir = part._build_cache_dir()
        try:
            datasets.ArrowBasedBuilder.download_and_prepare(part, part._cache_dir, **self._preparation)
        except datasets.exceptions.DatasetGenerationError as error:
            if isinstance(error.__cause__, MellaError):  # which says what is wrong, and where
                raise error.__cause__ from None
            raise
        return part

    def _read(self, split: str, in_memory: bool) -> datasets.Dataset:
        return super().as_dataset(split, in_memory=in_memory)


@dataclass(frozen=True)
class FitImages:
    """Decodes the images of a batch to fit into `side` x `side` pixels; other columns pass."""

    side: int

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """The batch with `image` as PIL images."""
        if "image" not in batch:
            return batch
        return {**batch, "image": [decode_to_fit(image["bytes"], self.side) for image in batch["image"]]}


def decode_to_fit(data: bytes, side: int) -> PIL.Image.Image:
    """An encoded image, upright, with its longer side at most `side` px.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size when that is still no smaller than the result
    (`draft`), then scaled the rest of the way; that costs a fraction of decoding it whole.
    """
    image: PIL.Image.Image = PIL.Image.open(io.BytesIO(data))
    scale = side / max(image.size)
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image.draft(None, size)
        if "transparency" in image.info and not image.mode.startswith("I"):  # a colour; scaled, it would be another
            image = image.convert("RGBA")
        elif image.mode in ("P", "1"):  # these know no colours in between
            image = image.convert("RGB")
        orientation = image.getexif().get(ORIENTATION)
        image = image.resize(size, PIL.Image.Resampling.BICUBIC)
        image.info.pop("exif", None)  # it may be damaged
        if orientation is not None:
            image.getexif()[ORIENTATION] = orientation
    PIL.ImageOps.exif_transpose(image, in_place=True)  # else it copies an image that is upright already
    return image


def guard_images(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Images as bytes alone. A reader opens whatever file or URL a path names, so paths from outside go.

    Raises:
        MellaError: on an image without bytes.
    """
    if "image" not in batch.schema.names:
        return batch
    images = batch.column("image")
    data, paths = images.field("bytes"), images.field("path")
    if images.null_count or data.null_count:
        row = pc.index(pc.is_null(pc.struct_field(images, "bytes")), True).as_py()
        record = batch.slice(row, 1).drop_columns("image").to_pylist()
        raise MellaError(f"An image has no bytes (record {record}). Build the dataset again from whole images.")
    if paths.null_count == len(paths):
        return batch
    plain = pa.StructArray.from_arrays([data, pa.nulls(len(data), pa.string())], ["bytes", "path"])
    return batch.set_column(batch.schema.get_field_index("image"), "image", plain)


def times_as_text(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Times in the form of ISO 8601 where the schema has text: shards of earlier versions hold timestamps."""
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and not pa.types.is_timestamp(schema.field(field.name).type):
            text = pc.strftime(table.column(at), format="%Y-%m-%dT%H:%M:%SZ")
            table = table.set_column(at, field.name, pc.replace_substring_regex(text, r"\.0+Z$", "Z"))
    return table


def guard_texts(batch: pa.RecordBatch, path: str) -> None:
    """Raise MellaError, naming the shard, on a text that must not be trained on."""
    texts = batch.column("text").to_pylist() if "text" in batch.schema.names else []
    for at, text in enumerate(texts):
        if (problem := text_problem(text)) is not None:
            shown = ascii(text) if text is None else ascii(text[:60])
            name = batch.column("id")[at].as_py() if "id" in batch.schema.names else "ID"
            raise MellaError(
                f"The shard {path} has the text {shown}, which is unfit ({problem}). Take the sample out with "
                f"'mella remove FOLDER --ids FILE', with its id {name} in FILE, or build the dataset again."
            )


@contextlib.contextmanager
def open_shard(path: str) -> Iterator[pq.ParquetFile]:
    """A shard, open for reading. Raises MellaError, naming it, when it is not a whole Parquet file."""
    try:
        with open(path, "rb") as file:
            yield pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        cause = "cannot be read" if "://" in path else "is damaged or not whole"
        if _is_pointer(path):
            cause = "is a pointer of Git LFS, not the file; run 'git lfs pull'"
        raise MellaError(f"The shard {path} {cause} ({error}). Fetch or build it again.") from error


def _is_pointer(path: str) -> bool:
    """Whether a file is what Git LFS leaves in the place of a large one."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:
        return False


def record_features(schema: pa.Schema, columns: list[str] | None, asked: Any = None) -> datasets.Features:
    """The features of the record, from a shard's schema.

    Read from the Arrow types: the features written in the file's metadata are in the words of one
    version of datasets, which others do not understand.

    Args:
        columns: those to read; all by default.
        asked: features that the user wants instead; they choose the columns too.

    Raises:
        MellaError: on columns that are not there.
    """
    for name, kind in LATER.items():
        if name not in schema.names:
            schema = schema.append(pa.field(name, kind))
    times = [field for field in schema if pa.types.is_timestamp(field.type)]
    for field in times:  # of earlier versions; no tensor could hold a time, and with_format("torch") would fail
        schema = schema.set(schema.get_field_index(field.name), field.with_type(pa.string()))
    features = datasets.Features.from_arrow_schema(schema.remove_metadata())
    chosen = columns or list(asked or features)
    if unknown := [name for name in [*chosen, *(asked or ())] if name not in features]:
        raise MellaError(f"Unknown column {unknown[0]!r}; the dataset has {', '.join(features)}.")
    features["image"] = datasets.Image()
    return datasets.Features({name: (asked or features).get(name, features[name]) for name in chosen})
