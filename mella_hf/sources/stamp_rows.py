"""A folder of stamps in; rendered views as Parquet out, and from these the records of each language and split.

Rendering knows no language. Its two stages are the views for training, then the views for testing, each of
which must differ from every training view by sha256 and by more than `phash.NEAR` bits of perceptual hash.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.errors import MellaError
from mella_hf.know.alt_text import Dropped, check_alt_text, clean_alt_text
from mella_hf.phash import NEAR, nearest, phash
from mella_hf.sample import SPLITS, make_sample, sha256_hex, utc
from mella_hf.sources.descriptions import describe
from mella_hf.sources.measures import Measures, measure
from mella_hf.sources.stamps import LICENSE, Stamp, entity_of, native_line, read_stamps, role, stamps_folder
from mella_hf.sources.views import SIDE, ImageRejected, View, open_stamp, render
from mella_hf.stage import Shard, ShardOutput, StageReport, fingerprint, run_stage

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SHARDS = 8
TRAIN_VIEWS = 4  # of each stamp that is trained on
TEST_VIEWS = 2  # of each stamp
TEST_TRIES = 24  # drawn views before a stamp is given up as too like the training views
# Images of entities in training, and of entities never seen; the paper tests on 100 to 150 a language.
TEST_CAPS = {"know": (70, 30), "ling": (42, 18)}
COLLECTED = utc(2022, 6, 4)  # release of the package
MAX_KEYWORD_WORDS = 4  # a name of that many words is one keyword; a sentence has several

VIEW_SCHEMA = pa.schema(
    [
        ("stamp", pa.string()),
        ("entity", pa.string()),
        ("source", pa.string()),
        ("unseen", pa.bool_()),
        ("kind", pa.string()),  # train | test
        ("view", pa.int32()),
        ("jpeg", pa.binary()),
        ("sha256", pa.string()),
        ("phash", pa.uint64()),
        ("measures", pa.string()),  # JSON of Measures
    ]
)


def _shards(stamps: Sequence[Stamp], root: Path) -> list[Shard]:
    """SHARDS shards of pictured stamps, by a hash of their paths."""
    parts: list[list[tuple[str, str, int]]] = [[] for _ in range(SHARDS)]
    for stamp in stamps:
        if stamp.has_image:
            index = int(hashlib.sha256(stamp.path.encode()).hexdigest()[:8], 16) % SHARDS
            parts[index].append((stamp.path, stamp.entity, _png(root, stamp.path).stat().st_size))
    return [Shard(f"shard-{i}", {"root": str(root), "stamps": part}) for i, part in enumerate(parts) if part]


def _png(root: Path | str, stamp: str) -> Path:
    return Path(root) / f"{stamp}.png"


def _row(stamp: str, entity: str, kind: str, number: int, view: View) -> dict[str, Any]:
    entity_role = role(entity)
    return {
        "stamp": stamp,
        "entity": entity,
        "source": entity_role.source,
        "unseen": entity_role.unseen,
        "kind": kind,
        "view": number,
        "jpeg": view.jpeg,
        "sha256": sha256_hex(view.jpeg),
        "phash": phash(view.image),
        "measures": json.dumps(measure(view.image, view.mask).to_dict()),
    }


def _opened(shard: Shard, output: ShardOutput) -> Iterator[tuple[str, str, "Image.Image"]]:
    """(path, entity, RGBA image) of each readable stamp of a shard."""
    for path, entity, _ in shard.payload["stamps"]:
        try:
            yield path, entity, open_stamp(_png(shard.payload["root"], path))
        except ImageRejected as rejected:
            output.drop(rejected.reason, stamp=path, detail=str(rejected))


def _write(rows: list[dict[str, Any]], output: ShardOutput) -> None:
    pq.write_table(pa.Table.from_pylist(rows, VIEW_SCHEMA), output.folder / "views.parquet", compression="none")
    output.keep(len(rows))


def render_train_views(shard: Shard, output: ShardOutput) -> None:
    """Views 0 to TRAIN_VIEWS - 1 of each stamp whose entity is trained on."""
    seen = ((path, entity, image) for path, entity, image in _opened(shard, output) if not role(entity).unseen)
    rows = [
        _row(path, entity, "train", number, render(image, path, number))
        for path, entity, image in seen
        for number in range(TRAIN_VIEWS)
    ]
    _write(rows, output)


def render_test_views(shard: Shard, output: ShardOutput) -> None:
    """TEST_VIEWS views of each stamp, none of them near a training view.

    A stamp whose whole picture (view 0) is near that of another entity in training shows the same
    thing under another name: it is dropped as `near_duplicate`, as is a stamp for which no drawn view
    is far enough from the training views.
    """
    train = read_views(Path(shard.payload["train"]), ["entity", "view", "sha256", "phash"])
    hashes, digests = train["phash"].to_numpy(), frozenset(train["sha256"].to_pylist())
    whole = train["view"].to_numpy() == 0
    entities = train["entity"].to_numpy(zero_copy_only=False)
    rows: list[dict[str, Any]] = []
    for path, entity, image in _opened(shard, output):
        others = hashes[whole & (entities != entity)]
        if nearest(phash(render(image, path, 0).image), others) <= NEAR:
            output.drop("near_duplicate", stamp=path, detail="the picture is near that of another entity in training")
            continue
        found = _far_views(path, entity, image, hashes, digests)
        rows += found
        if len(found) < TEST_VIEWS:
            output.drop("near_duplicate", stamp=path, detail=f"{len(found)} of {TEST_VIEWS} views far from training")
    _write(rows, output)


def _far_views(
    path: str, entity: str, image: "Image.Image", hashes: "np.ndarray", digests: frozenset[str]
) -> list[dict[str, Any]]:
    """Up to TEST_VIEWS views that are no training view and near none; an unseen stamp may show its view 0."""
    first = 0 if role(entity).unseen else TRAIN_VIEWS
    rows: list[dict[str, Any]] = []
    for number in range(first, first + TEST_TRIES):
        row = _row(path, entity, "test", number, render(image, path, number))
        if row["sha256"] not in digests and nearest(row["phash"], hashes) > NEAR:
            rows.append(row)
        if len(rows) == TEST_VIEWS:
            break
    return rows


def render_stage(
    root: Path | str, out: Path | str, workers: int | None = None, *, progress: bool = True
) -> tuple[StageReport, StageReport]:
    """Render all views of the stamps under `root` into `out/train` and `out/test`; resumes.

    Returns:
        The reports of the training views and of the test views.
    """
    root, out = stamps_folder(root).resolve(), Path(out)
    shards = _shards(read_stamps(root), root)
    settings = {"views": [SIDE, TRAIN_VIEWS, TEST_VIEWS, TEST_TRIES, NEAR], "schema": VIEW_SCHEMA.names}
    trained = run_stage(
        "training views", render_train_views, shards, out / "train",
        settings=settings, workers=workers, progress=progress,
    )  # fmt: skip
    if trained.set_aside:
        raise MellaError(f"Training views of {', '.join(trained.set_aside)} are missing: their workers died twice.")
    hashes = fingerprint(sorted(read_views(out / "train", ["sha256"])["sha256"].to_pylist()))
    shards = [Shard(shard.name, {**shard.payload, "train": str(out / "train")}) for shard in shards]
    tested = run_stage(
        "test views", render_test_views, shards, out / "test",
        settings={**settings, "train": hashes}, workers=workers, progress=progress,
    )  # fmt: skip
    return trained, tested


def read_views(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The views of a rendered stage, by stamp and view."""
    files = sorted(Path(folder).glob("shard-*/views.parquet"))
    if not files:
        raise MellaError(f"No rendered views under {folder}; run render_stage first.")
    wanted = None if columns is None else list(dict.fromkeys([*columns, "stamp", "view"]))
    table = pa.concat_tables([pq.read_table(file, columns=wanted) for file in files])
    return table.sort_by([("stamp", "ascending"), ("view", "ascending")])


def keywords_of(text: str, language: str) -> list[str]:
    """What an answer must mention: a short name as a whole, the keywords of anything longer."""
    name = text.rstrip(".!?؟ ")
    if len(name.split()) <= MAX_KEYWORD_WORDS and not _has_clauses(name):
        return [name]
    try:
        from mella_hf.metrics.keywords import extract_keywords
    except ModuleNotFoundError:  # lands with the metric
        return [w for w in name.replace(",", " ").split() if len(w) > 3][:5] or [name]
    return extract_keywords(text, language)


def _has_clauses(name: str) -> bool:
    return any(mark in name for mark in ",،;(—–") or (" " not in name and len(name) > 30)


def _train_lines(stamps: Sequence[Stamp], language: str) -> set[str]:
    """The lines, without case and punctuation, that training says of some picture in this language."""
    trained = [s for s in stamps if s.has_image and role(s.entity).source == "know" and not role(s.entity).unseen]
    return {entity_of(clean_alt_text(native_line(stamp, language))) for stamp in trained}


class _Drops:
    """Counts rows into a ShardOutput if there is one."""

    def __init__(self, output: ShardOutput | None, language: str, split: str):
        self.output, self.where = output, {"language": language, "split": split}

    def drop(self, reason: str, view: dict[str, Any], **what: Any) -> None:
        """One view that becomes no row."""
        if self.output is not None:
            self.output.drop(reason, stamp=view["stamp"], view=view["view"], **self.where, **what)


def rows(
    rendered: Path | str, stamps: Sequence[Stamp], language: str, split: str, output: ShardOutput | None = None
) -> Iterator[dict[str, Any]]:
    """The records of one language and split, in a fixed order.

    Args:
        rendered: the `out` of `render_stage`.
        stamps: as `read_stamps` returns them.
        split: `know`, `ling`, `know_test` or `ling_test`.
        output: if given, its `drop` is told each view that becomes no row, with the reason:
            "missing_text", "untranslated" (same as the English line), those of `check_alt_text`,
            "duplicate" (same bytes as an earlier row), "text_in_train" (an unseen entity whose name
            in this language is the name of a trained one), "over_cap" (the test split is full).
            Rows that stay are for the caller to count.

    Raises:
        MellaError: unknown split or language.
    """
    if split not in SPLITS:
        raise MellaError(f"Unknown split {split!r}; choose one of {', '.join(SPLITS)}.")
    source, _, test = split.partition("_")
    drops = _Drops(output, language, split)
    views = _views(Path(rendered) / (test or "train"), source)
    by_path = {stamp.path: stamp for stamp in stamps}
    records = _know if source == "know" else _ling
    known = _train_lines(stamps, language) if test and source == "know" else set()
    taken = [0, 0]  # of seen entities, of unseen ones
    ids: set[str] = set()
    for view in sorted(views, key=_test_order) if test else views:
        record = records(view, by_path[view["stamp"]], language, drops)
        if record is None:
            continue
        unseen = view["unseen"]
        if record["id"] in ids:
            drops.drop("duplicate", view)
        elif unseen and source == "know" and entity_of(record["text"]) in known:
            drops.drop("text_in_train", view, text=record["text"])
        elif test and taken[unseen] >= TEST_CAPS[source][unseen]:
            drops.drop("over_cap", view)
        else:
            taken[unseen] += 1
            ids.add(record["id"])
            yield record


def _views(folder: Path, source: str) -> list[dict[str, Any]]:
    return [view for view in read_views(folder).to_pylist() if view["source"] == source]


def _test_order(view: dict[str, Any]) -> tuple[int, str]:
    """One view of every stamp before a second of any; stamps by hash."""
    first = view["view"] in (0, TRAIN_VIEWS)
    return (0 if first else 1, hashlib.sha256(view["stamp"].encode()).hexdigest())


def _record(view: dict[str, Any], stamp: Stamp, language: str, **columns: Any) -> dict[str, Any]:
    return make_sample(
        image=view["jpeg"],
        language=language,
        source=view["source"],
        width=SIDE,
        height=SIDE,
        category=list(stamp.category),
        entity=stamp.entity,
        license=LICENSE,
        collected_at=COLLECTED,
        **columns,
    )


def _know(view: dict[str, Any], stamp: Stamp, language: str, drops: _Drops) -> dict[str, Any] | None:
    raw = native_line(stamp, language)
    if not raw:
        return drops.drop("missing_text", view)
    if entity_of(raw) == stamp.entity:
        return drops.drop("untranslated", view, text=raw)
    result = check_alt_text(raw, language)
    if isinstance(result, Dropped):
        return drops.drop(result.reason, view, text=raw)
    return _record(view, stamp, language, text=result.text, keywords=keywords_of(result.text, language))


def _ling(view: dict[str, Any], stamp: Stamp, language: str, drops: _Drops) -> dict[str, Any] | None:
    measures = Measures(**json.loads(view["measures"]))
    text, english = (describe(measures, code, seed=stamp.path) for code in (language, "en"))
    columns = {"caption_en": english, "captioner": "template", "translator": "template"}
    return _record(view, stamp, language, text=text, **columns)


def english_rows(rendered: Path | str, stamps: Sequence[Stamp]) -> Iterator[dict[str, Any]]:
    """The training views with their English line (know) or English description (ling), for a base model.

    No view of an unseen entity is among them, and no test view.
    """
    by_path = {stamp.path: stamp for stamp in stamps}
    for view in read_views(Path(rendered) / "train").to_pylist():
        stamp = by_path[view["stamp"]]
        if view["source"] == "know":
            text = clean_alt_text(stamp.english)
            yield _record(view, stamp, "en", text=text, keywords=[text.rstrip(".!? ")])
        else:
            text = describe(Measures(**json.loads(view["measures"])), "en", seed=stamp.path)
            yield _record(view, stamp, "en", text=text, caption_en=text, captioner="template")
