"""Render and measure views of the stamps and store them as Parquet. No language is involved yet.

There are two stages: first the training views, then the test views. Each test view differs from every training view by
sha256 and by more than `phash.NEAR` bits of perceptual hash.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.demo.stamps.measures import measure
from mella_hf.demo.stamps.stamps import Stamp, read_stamps, role, stamps_folder
from mella_hf.demo.stamps.views import SIDE, ImageRejected, View, open_stamp, render
from mella_hf.errors import MellaError
from mella_hf.images.phash import NEAR, nearest, phash
from mella_hf.sample import sha256_hex
from mella_hf.stage import Shard, ShardOutput, StageReport, fingerprint, run_stage

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SHARDS = 8
RENDERING = 1  # increase it when views or measures change; finished shards are then rendered again
# Views per training stamp. A name is learned from the views of one thing, so it needs many; the sentences of a
# template are learned from all pictures together.
TRAIN_VIEWS = {"know": 8, "ling": 4}
FIRST_TEST_VIEW = max(TRAIN_VIEWS.values())
TEST_VIEWS = 2  # of each stamp
TEST_TRIES = 24  # views drawn before a stamp is dropped as too similar to the training views

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


def _opened(shard: Shard, output: ShardOutput, *, unseen: bool) -> Iterator[tuple[str, str, "Image.Image"]]:
    """Open the readable stamps of a shard: (path, entity, RGBA image); unseen entities only on request."""
    for path, entity, _ in shard.payload["stamps"]:
        if role(entity).unseen and not unseen:
            continue
        try:
            yield path, entity, open_stamp(_png(shard.payload["root"], path))
        except ImageRejected as rejected:
            output.drop(rejected.reason, stamp=path, detail=str(rejected))


def _write(rows: list[dict[str, Any]], output: ShardOutput) -> None:
    pq.write_table(pa.Table.from_pylist(rows, VIEW_SCHEMA), output.folder / "views.parquet", compression="none")
    output.keep(len(rows))


def render_train_views(shard: Shard, output: ShardOutput) -> None:
    """Render views 0 up to the TRAIN_VIEWS of its source, for each stamp whose entity is trained on."""
    rows = [
        _row(path, entity, "train", number, render(image, path, number))
        for path, entity, image in _opened(shard, output, unseen=False)
        for number in range(TRAIN_VIEWS[role(entity).source])
    ]
    _write(rows, output)


def render_test_views(shard: Shard, output: ShardOutput) -> None:
    """Render TEST_VIEWS views of each stamp, none of them near a training view.

    A stamp whose whole picture (view 0) is near that of another entity in training shows the same
    thing under another name: it is dropped as `near_duplicate`, as is a stamp for which no drawn view
    is far enough from the training views.
    """
    train = read_views(Path(shard.payload["train"]), ["entity", "view", "sha256", "phash"])
    hashes, digests = train["phash"].to_numpy(), frozenset(train["sha256"].to_pylist())
    whole = train["view"].to_numpy() == 0
    entities = train["entity"].to_numpy(zero_copy_only=False)
    rows: list[dict[str, Any]] = []
    for path, entity, image in _opened(shard, output, unseen=True):
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
    """Up to TEST_VIEWS views that are not near any training view; an unseen stamp may use its view 0."""
    first = 0 if role(entity).unseen else FIRST_TEST_VIEW
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
    views = [RENDERING, SIDE, TRAIN_VIEWS, TEST_VIEWS, TEST_TRIES, NEAR]
    settings = {"views": views, "columns": VIEW_SCHEMA.names}
    trained = run_stage(
        "training views", render_train_views, shards, out / "train",
        settings=settings, workers=workers, progress=progress,
    )  # fmt: skip
    trained.require_all()
    hashes = fingerprint(sorted(read_views(out / "train", ["sha256"])["sha256"].to_pylist()))
    shards = [Shard(shard.name, {**shard.payload, "train": str(out / "train")}) for shard in shards]
    tested = run_stage(
        "test views", render_test_views, shards, out / "test",
        settings={**settings, "train": hashes}, workers=workers, progress=progress,
    )  # fmt: skip
    return trained, tested


def read_views(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the views of a rendered stage, by stamp and view."""
    files = sorted(Path(folder).glob("shard-*/views.parquet"))
    if not files:
        raise MellaError(f"No rendered views under {folder}; run render_stage first.")
    wanted = None if columns is None else list(dict.fromkeys([*columns, "stamp", "view"]))
    table = pa.concat_tables([pq.read_table(file, columns=wanted) for file in files])
    return table.sort_by([("stamp", "ascending"), ("view", "ascending")])
