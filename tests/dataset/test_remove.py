"""What is asked away is gone from the rows and the files; everything else stays as it was, byte for byte."""

import json
import shutil
from collections import Counter
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from dataset_samples import record
from datasets import load_dataset
from kill_points import killed_everywhere
from release_tree import make_release
from typer.testing import CliRunner

import mella_hf  # noqa: F401  (registers "mella")
from mella_hf.commands.remove import remove
from mella_hf.dataset.building.build import build_dataset
from mella_hf.dataset.card.card import write_card
from mella_hf.dataset.removal.remove import finish_removal, remove_samples
from mella_hf.dataset.removal.requests import read_records
from mella_hf.dataset.thumbnails import write_thumbnails
from mella_hf.dataset.verify import verify_dataset
from mella_hf.dataset.write import shard_paths, write_split
from mella_hf.errors import MellaError
from mella_hf.sources.release import ReleaseSource

DOMAINS = ["example.org", "www.example.org", "notexample.org", "other.net", None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """know in three shards of at most 256 rows, domains in turn."""
    rows = [record(n, domain=DOMAINS[n % 5]) for n in range(530)]
    write_split(rows, tmp_path / "d", "ar", "know", shard_bytes=1)
    write_split([record(n, domain="other.net") for n in range(600, 603)], tmp_path / "d", "ar", "know_test")
    write_card(tmp_path / "d")
    return tmp_path / "d"


def rows(folder: Path, language: str = "ar", split: str = "know") -> list[dict]:
    return [row for path in shard_paths(folder, language, split) for row in pq.read_table(path).to_pylist()]


def test_by_id(folder: Path) -> None:
    before = rows(folder)
    files = [path.read_bytes() for path in shard_paths(folder, "ar", "know")]
    gone = [before[300], before[301]]
    report = remove_samples(folder, ids=[gone[0]["id"], gone[1]["id"].upper() + "\n", "0" * 64])
    assert dict(report.removed) == {"ar/know": 2} and report.not_found == ["0" * 64]
    assert rows(folder) == before[:300] + before[302:]
    after = [path.read_bytes() for path in shard_paths(folder, "ar", "know")]
    assert [a == b for a, b in zip(after, files, strict=True)] == [True, False, True]
    assert not any(row["image"]["bytes"] in data for row in gone for data in after)
    assert verify_dataset(folder, workers=0, progress=False).problems == []


def test_by_domain(folder: Path) -> None:
    before = rows(folder)
    report = remove_samples(folder, domain="Example.org")
    assert rows(folder) == [row for row in before if row["domain"] not in ("example.org", "www.example.org")]
    assert report.removed["ar/know"] == 212 and len(report.rewritten) == 3
    assert "| example.org |" not in (folder / "README.md").read_text("utf-8")


def test_a_whole_split(folder: Path) -> None:
    remove_samples(folder, ids=[row["id"] for row in rows(folder, split="know_test")])
    assert shard_paths(folder, "ar", "know_test") == []
    assert verify_dataset(folder, workers=0, progress=False).problems == []


def test_an_emptied_shard_goes_and_the_others_are_renumbered(folder: Path, tmp_path: Path) -> None:
    second = pq.read_table(shard_paths(folder, "ar", "know")[1])["id"].to_pylist()
    before = rows(folder)
    report = remove_samples(folder, ids=second)
    assert [path.name for path in shard_paths(folder, "ar", "know")] == [
        f"know-{n:05d}-of-00002.parquet" for n in (0, 1)
    ]
    assert report.rewritten == [] and report.emptied == []
    assert rows(folder) == [row for row in before if row["id"] not in second]
    assert verify_dataset(folder, workers=0, progress=False).problems == []
    for options in ({"path": "mella", "data_dir": str(folder)}, {"path": str(folder)}):
        assert len(load_dataset(name="ar", split="know", cache_dir=str(tmp_path / "cache"), **options)) == 530 - 256
    assert remove_samples(folder, ids=[row["id"] for row in rows(folder)[:2]]).removed == {"ar/know": 2}


def test_the_last_row_of_a_language_and_of_all(folder: Path) -> None:
    write_split([record(900, "th", page_url="https://th.example.co/x")], folder, "th", "know")
    write_thumbnails(folder)
    write_card(folder)
    report = remove_samples(folder, urls=["http://TH.example.co/x#top"])
    assert report.emptied == ["th/know"] and not (folder / "th").exists()
    assert not (folder / "thumbnails" / "th.jpg").exists() and "`th`" not in (folder / "README.md").read_text("utf-8")
    assert read_records(folder)[-1]["emptied"] == ["th/know"]
    remove_samples(folder, ids=[row["id"] for split in ("know", "know_test") for row in rows(folder, split=split)])
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == ["card.json", "removals.jsonl"]


def tree(folder: Path) -> dict[str, bytes]:
    """What others see of a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(".")}


MODULES = ["mella_hf.dataset.removal.remove", "mella_hf.text.tokens", "jinja2", "yaml", "idna", "PIL.JpegImagePlugin"]


def test_killed_before_any_file_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emptied, rewritten, renumbered and untouched shards; a split and a language that end. All or nothing of it."""
    monkeypatch.setattr("mella_hf.dataset.write.ROW_GROUP_ROWS", 2)
    old, new = tmp_path / "old", tmp_path / "new"
    write_split([record(n) for n in range(10)], old, "ar", "know", shard_bytes=1)
    write_split([record(n, source="ling") for n in range(20, 22)], old, "ar", "ling")
    write_split([record(n) for n in range(30, 32)], old, "ar", "know_test")
    write_split([record(n, "cs") for n in range(40, 42)], old, "cs", "know")
    write_thumbnails(old)
    write_card(old)
    ids = {split: [row["id"] for row in rows(old, split=split)] for split in ("know", "know_test")}
    gone = [*ids["know"][2:5], *ids["know_test"], *(row["id"] for row in rows(old, "cs"))]
    shutil.copytree(old, new)
    remove_samples(new, ids=gone)
    expected = tree(new)
    assert [path.name for path in shard_paths(new, "ar", "know")] == [
        f"know-{n:05d}-of-00004.parquet" for n in range(4)
    ]
    assert verify_dataset(new, workers=0, progress=False).problems == []
    runs = Counter[str]()

    def prepare() -> Path:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(old, tmp_path / "run")
        return tmp_path / "run"

    for number, folder in killed_everywhere(prepare, partial(remove_samples, ids=gone), MODULES):
        finish_removal(folder)
        found = tree(folder)
        assert found in (tree(old), expected), number
        runs["done" if found == expected else "not begun"] += 1
        remove_samples(folder, ids=gone)
        assert tree(folder) == expected and not (folder / ".removal").exists(), number
    # As docs/reliability.md says.
    assert runs["done"] > 30 and runs["not begun"] > 40 and runs.total() > 80, runs


def test_the_next_command_finishes_a_removal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = [row["id"] for row in rows(folder, split="know_test")]
    with monkeypatch.context() as patched:
        patched.setattr("mella_hf.dataset.removal.remove._apply", interrupted)
        with pytest.raises(KeyboardInterrupt):
            remove_samples(folder, ids=gone)
    with pytest.raises(MellaError, match="a removal was cut short; finish it with: mella verify"):
        load_dataset("mella", "ar", data_dir=str(folder))
    assert verify_dataset(folder, workers=0, progress=False).problems == []
    assert shard_paths(folder, "ar", "know_test") == []
    assert len(load_dataset("mella", "ar", data_dir=str(folder), cache_dir=str(folder / ".cache"))["know"]) == 530


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


HOSTS = [
    {"domain": "WWW.Example.AR"},
    {"domain": "example.ar."},
    {"page_url": "https://example.ar/a"},
    {"page_url": "HTTP://NEWS.EXAMPLE.AR:8080/A B", "domain": "elsewhere.net"},
    {"image_url": "https://user:x@cdn.example.ar?i=1"},
    {"page_url": "https://example.ar.evil.net/", "image_url": "https://notexample.ar/example.ar"},
    {"domain": "example.org", "page_url": "https://x.org/?u=https://example.ar/"},
    {},
]


@pytest.mark.parametrize(
    ("domain", "gone"),
    [
        ("example.ar", [0, 1, 2, 3, 4]), ("EXAMPLE.AR.", [0, 1, 2, 3, 4]), (" .example.ar ", [0, 1, 2, 3, 4]),
        ("*.example.ar", [0, 3, 4]), ("www.example.ar", [0]), ("cdn.example.ar", [4]), ("elsewhere.net", [3]),
    ],
)  # fmt: skip
def test_whatever_says_where_a_row_is_from(tmp_path: Path, domain: str, gone: list[int]) -> None:
    """In the columns that there are, in any case, with final dots, ports, users and spaces."""
    write_split([record(n, **columns) for n, columns in enumerate(HOSTS)], tmp_path, "ar", "know")
    ids = [row["id"] for row in rows(tmp_path)]
    report = remove_samples(tmp_path, domain=domain)
    left = {row["id"] for row in rows(tmp_path)}
    assert [n for n, name in enumerate(ids) if name not in left] == gone
    assert report.hosts.total() == len(gone)


@pytest.mark.parametrize("asked", ["müller.de", "xn--mller-kva.de", "MÜLLER.DE.", "mu\u0308ller.de"])
@pytest.mark.parametrize("written", ["www.müller.de", "XN--MLLER-KVA.de", "M\u00dcller。de"])
def test_punycode_and_unicode_are_one_host(tmp_path: Path, asked: str, written: str) -> None:
    """xn--mller-kva.de is müller.de (RFC 3492)."""
    write_split(
        [record(0, domain=written), record(1, page_url=f"https://{written}/"), record(2)], tmp_path, "ar", "know"
    )
    assert remove_samples(tmp_path, domain=asked).removed == {"ar/know": 2}


@pytest.mark.parametrize("asked", ["[2001:db8::1]", "2001:DB8:0::1", "192.0.2.7"])
def test_a_host_may_be_a_number(tmp_path: Path, asked: str) -> None:
    pages = ["http://[2001:db8::1]:8080/a", "http://192.0.2.7/a", "http://192.0.2.70/a"]
    write_split([record(n, page_url=url, domain=None) for n, url in enumerate(pages)], tmp_path, "ar", "know")
    assert remove_samples(tmp_path, domain=asked).removed == {"ar/know": 1}


def test_what_no_row_has_is_named(tmp_path: Path) -> None:
    """A URL as well: a request that only half matches must not look as if it were done."""
    write_split([record(n, page_url=f"https://x.org/{n}") for n in range(3)], tmp_path, "ar", "know")
    report = remove_samples(tmp_path, ids=["1" * 64], urls=["https://x.org/1", "https://x.org/nowhere"])
    assert report.removed == {"ar/know": 1} and report.not_found == ["1" * 64, "x.org/nowhere"]


def test_requests_are_on_record_once(folder: Path) -> None:
    for _ in range(2):
        remove_samples(folder, domain="example.org")
    remove_samples(folder, ids=["1" * 64])
    records = read_records(folder)
    assert [{k: v for k, v in r.items() if k != "requested"} for r in records] == [
        {"domain": "example.org"},
        {"ids": ["1" * 64]},
    ]
    assert all(len(r["requested"]) == 10 for r in records)


def test_a_later_build_leaves_them_out(tmp_path: Path) -> None:
    make_release(tmp_path / "release", ("ar",), 30, flaws=False)
    source = ReleaseSource(tmp_path / "release", ("ar",))
    out = tmp_path / "out"
    build_dataset(source, out, workers=0, progress=False, test_size=0)
    gone = rows(out)[4]["id"]
    remove_samples(out, ids=[gone])
    remove_samples(out, domain="www.example-3.ar")
    removed = {row["id"] for row in rows(out)}
    report = build_dataset(source, out, workers=0, progress=False, test_size=0)
    assert {row["id"] for row in rows(out)} == removed and gone not in removed
    counts = report.funnel["ar"]["know"]
    assert (counts["kept"], counts["dropped_removed_on_request"]) == (len(removed), 30 - len(removed))
    lines = (out / "rejects" / "ar-know.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(line)["reason"] for line in lines} == {"removed_on_request"}


def test_the_build_keeps_no_copy(tmp_path: Path) -> None:
    make_release(tmp_path / "release", ("ar",), 10, flaws=False)
    build_dataset(
        ReleaseSource(tmp_path / "release", ("ar",)), tmp_path / "out", workers=0, progress=False, test_size=0
    )
    image = rows(tmp_path / "out")[0]
    remove_samples(tmp_path / "out", ids=[image["id"]])
    parquet = [path for path in (tmp_path / "out").rglob("*.parquet")]
    assert parquet and not any(image["image"]["bytes"] in path.read_bytes() for path in parquet)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": ["abc"]}, "'abc' is not a sample id; give the 64 hex digits of the column 'id'"),
        ({"domain": "http://example.org"}, "is not a domain; give a host such as 'example.org', without http://"),
        ({"domain": "https://www.Example.AR/x"}, "give a host such as 'www.example.ar', without http://"),
        ({"domain": "a*.example.org"}, "is not a domain"),
        ({"domain": "exa mple.org"}, "is not a domain"),
        ({"domain": "*.ar"}, "'\\*.ar' is not a domain of one owner; give the whole host, such as 'example.ar'"),
        ({"urls": ["example.org/x"]}, "is not a URL of a page or an image"),
        ({}, "Nothing to remove: give ids or a domain"),
    ],
)
def test_bad_requests(folder: Path, options: dict, message: str) -> None:
    with pytest.raises(MellaError, match=message):
        remove_samples(folder, **options)
    assert not (folder / "removals.jsonl").exists()


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="holds no dataset"):
        remove_samples(tmp_path, domain="example.org")


def test_the_command(folder: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(remove)
    wanted = tmp_path / "ids.txt"
    wanted.write_text(rows(folder)[0]["id"] + "\n\n")
    result = CliRunner().invoke(app, [str(folder), "--ids", str(wanted)])
    assert result.output == "ar/know: 1 removed\n1 rows removed, 1 shards rewritten.\n"
    result = CliRunner().invoke(app, [str(folder), "--domain", "example.org"])
    assert result.exit_code == 0
    assert result.output.startswith("from www.example.org: 106\nfrom example.org: 105\nar/know: 211 removed\n")
    result = CliRunner().invoke(app, [str(folder), "--domain", "example.org"])
    assert result.exit_code == 1 and "0 rows removed, 0 shards rewritten.\nNothing matched." in result.output
    result = CliRunner().invoke(app, [str(folder), "--ids", str(tmp_path / "no")])
    assert isinstance(result.exception, MellaError) and "is not a file" in str(result.exception)
