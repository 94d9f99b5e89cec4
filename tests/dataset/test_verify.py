"""Whatever is put wrong into a sound dataset is found and named; a sound one passes."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from dataset_samples import picture, record
from typer.testing import CliRunner

from mella_hf.commands.verify import verify
from mella_hf.dataset.card.card import write_card
from mella_hf.dataset.removal.remove import remove_samples
from mella_hf.dataset.verify import verify_dataset
from mella_hf.dataset.write import open_writer, to_batch, write_split
from mella_hf.errors import MellaError
from mella_hf.sample import SCHEMA, sha256_hex


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small sound dataset."""
    write_split([record(n) for n in range(20)], tmp_path / "d", "ar", "know")
    write_split([record(n) for n in range(20, 25)], tmp_path / "d", "ar", "know_test")
    write_card(tmp_path / "d")
    return tmp_path / "d"


def problems(folder: Path) -> list[str]:
    return verify_dataset(folder, workers=0, progress=False).problems


def spoil(folder: Path, change: dict, split: str = "know") -> None:
    """Replace a split by one row that our writer would not have written."""
    path = folder / "ar" / f"{split}-00000-of-00001.parquet"
    with open_writer(path) as writer:
        writer.write_batch(to_batch([record(77) | change]))
    write_card(folder)


def test_a_sound_dataset(published: Path, tmp_path: Path) -> None:
    shutil.copytree(published, tmp_path / "d")
    report = verify_dataset(tmp_path / "d", workers=2, progress=False)
    assert report.problems == []
    assert report.rows["th"] == {"know": 7, "know_test": 2} and report.rows["ar"]["know"] == 600
    report.require_sound()


def test_a_second_run_checks_only_what_changed(folder: Path) -> None:
    assert problems(folder) == []
    markers = {p.name: p.stat().st_mtime_ns for p in (folder / ".verify" / "done").iterdir()}
    write_split([record(n) for n in range(20, 26)], folder, "ar", "know_test")
    write_card(folder)
    assert problems(folder) == []
    after = {p.name: p.stat().st_mtime_ns for p in (folder / ".verify" / "done").iterdir()}
    assert {name for name in after if after[name] != markers[name]} == {"ar--know_test-00000-of-00001.parquet.json"}


def _image(data: bytes, **columns) -> dict:
    return {"image": {"bytes": data, "path": None}, "id": sha256_hex(data), **columns}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "0" * 64}, "column 'id': is not the sha256 of the image bytes"),
        ({"image": {"bytes": None, "path": "/etc/passwd"}}, "column 'image': has no bytes"),
        ({"image": {"bytes": record(77)["image"]["bytes"], "path": "/home/me/x.jpg"}}, "carries the path '/home/me"),
        ({"page_url": "file:///home/me/page.html"}, "'file:///home/me/page.html': not an http address"),
        ({"text": "a\0b"}, "column 'text': is unfit (text_nul)"),
        ({"language": "th"}, "column 'language': is 'th' in a shard of 'ar'"),
        ({"width": 97}, "the image decodes to (96, 64), the row says (97, 64)"),
        (_image(picture(77)[:900]), "image_broken"),
        (_image(b"<svg/>"), "image_format"),
    ],
)
def test_a_bad_row_is_named(folder: Path, change: dict, message: str) -> None:
    spoil(folder, change)
    (problem,) = problems(folder)
    assert problem.startswith("ar/know-00000-of-00001.parquet, ") and message in problem


def test_a_leak_is_found(folder: Path) -> None:
    spoil(folder, _image(picture(3)), split="know_test")
    (problem,) = problems(folder)
    assert problem.startswith("language 'ar': 1 test images are in training as well, by sha256 or perceptual hash")


def test_a_repeated_image_is_found(folder: Path) -> None:
    write_split([record(1), record(1, text="كنافة أخرى")], folder, "ar", "know")
    write_card(folder)
    assert problems(folder) == ["language 'ar': 1 images repeat within know and ling"]


def test_a_card_that_counts_wrongly(folder: Path) -> None:
    write_split([record(n) for n in range(19)], folder, "ar", "know")
    found = problems(folder)
    assert (
        "README.md: the config 'ar' counts {'know': 20, 'know_test': 5}, the shards {'know': 19, 'know_test': 5}"
        in found
    )


def test_a_card_whose_patterns_are_wrong(folder: Path) -> None:
    card = folder / "README.md"
    card.write_text(card.read_text("utf-8").replace("path: ar/know-*", "path: ar/know*"), "utf-8")
    (problem,) = problems(folder)
    assert "the config 'ar' reads [{'split': 'know', 'path': 'ar/know*'}" in problem


@pytest.mark.parametrize("text", ["", "# MELLA\n", "---\nlanguage: [\n---\n", "---\nconfigs: 3\n---\n"])
def test_a_card_without_yaml(folder: Path, text: str) -> None:
    (folder / "README.md").write_text(text, "utf-8")
    assert problems(folder)[0].startswith("README.md: its YAML has no readable configs and dataset_info")


def test_no_card(folder: Path) -> None:
    (folder / "README.md").unlink()
    assert problems(folder) == ["README.md is missing; plain load_dataset cannot know the splits"]


def test_other_columns(folder: Path) -> None:
    table = pa.Table.from_pylist([record(77)], schema=SCHEMA).rename_columns(
        ["label" if name == "text" else name for name in SCHEMA.names]
    )
    pq.write_table(table, folder / "ar" / "know-00000-of-00001.parquet")
    assert any(
        "columns that differ: ['pyarrow.Field<label: string>']; missing: ['text']" in p for p in problems(folder)
    )


def test_files_that_do_not_belong(folder: Path) -> None:
    (folder / "ar" / "know-00000-of-00002.parquet").write_bytes(b"PAR1 not really")
    (folder / "ar" / "extra.parquet").write_bytes(b"")
    found = "\n".join(problems(folder))
    assert "ar/extra.parquet: not named LANGUAGE/SPLIT-00000-of-0000N.parquet" in found
    assert "ar/know: an incomplete set of shards, 2 files" in found
    assert "ar/know-00000-of-00002.parquet: " in found


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="holds no dataset"):
        verify_dataset(tmp_path)


def test_a_file_is_no_repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its path looks like the name of one."""
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "mella").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MellaError, match="'org/mella' is neither a folder nor a dataset repo"):
        verify_dataset("org/mella")


@pytest.mark.parametrize("name", ["/typo", "./typo", "typo", "a/b/c", "~/mella", "org/"])
def test_what_is_neither_a_folder_nor_a_repo(name: str) -> None:
    with pytest.raises(MellaError, match="is neither a folder nor a dataset repo; give ORGANISATION/NAME"):
        verify_dataset(name)


def test_links_count(folder: Path, tmp_path: Path) -> None:
    """A folder, a language and a shard may lie elsewhere; a link back to the folder does not go round."""
    (folder / "ar").rename(tmp_path / "elsewhere")
    (folder / "ar").symlink_to(tmp_path / "elsewhere")
    (folder / "self").symlink_to(folder)
    (tmp_path / "link").symlink_to(folder)
    report = verify_dataset(tmp_path / "link", workers=0, progress=False)
    assert (report.rows, report.problems) == ({"ar": {"know": 20, "know_test": 5}}, [])
    assert remove_samples(tmp_path / "link", ids=[record(3)["id"]]).removed == {"ar/know": 1}
    assert (folder / "ar").is_symlink() and problems(folder) == []
    (folder / "ar" / "lost").symlink_to(tmp_path / "nowhere")
    with pytest.raises(MellaError, match="lost cannot be read"):
        problems(folder)


READ_ONLY = (
    "import os, sys; from pathlib import Path\n"
    "from mella_hf.dataset.verify import verify_dataset\n"
    "try: Path(sys.argv[1], 'x').touch(); print('writable')\n"
    "except OSError: print(verify_dataset(sys.argv[1], workers=0, progress=False).problems)\n"
)


def obey_permissions() -> None:
    """Take from root, before it starts another program, the right to write where permissions forbid it."""
    if os.geteuid() == 0:
        drop_from_bounding_set, dac_override = 24, 1  # linux/prctl.h, linux/capability.h
        ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override)


def test_a_read_only_folder(folder: Path, tmp_path: Path) -> None:
    """Its state goes to the cache."""
    for home in (folder, folder / "ar"):
        home.chmod(0o555)
    environment = {**os.environ, "MELLA_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", READ_ONLY, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, preexec_fn=obey_permissions)
    for home in (folder, folder / "ar"):
        home.chmod(0o755)
    assert done.stdout == "[]\n", done.stderr[-2000:]
    assert not (folder / ".verify").exists() and any((tmp_path / "cache" / "verify").iterdir())


def test_the_command(folder: Path) -> None:
    app = typer.Typer()
    app.command()(verify)
    result = CliRunner().invoke(app, [str(folder), "--workers", "0"])
    assert result.exit_code == 0 and "ar: know 20, know_test 5\nSound.\n" in result.output
    spoil(folder, {"id": "0" * 64})
    result = CliRunner().invoke(app, [str(folder), "--workers", "0"])
    assert result.exit_code == 1 and "PROBLEM ar/know-00000-of-00001.parquet, 000000000000: " in result.output


def test_work_is_no_part_of_the_dataset(folder: Path) -> None:
    problems(folder)
    assert json.loads((folder / ".verify" / "done" / "ar--know-00000-of-00001.parquet.json").read_text())["counts"] == {
        "kept": 20
    }


@pytest.mark.parametrize(("name", "said"), [("aux", "'aux' is a device"), ("AR", "'AR' and 'ar' are one file")])
def test_names_that_are_unsafe_elsewhere(folder: Path, name: str, said: str) -> None:
    shutil.copytree(folder / "ar", folder / name)
    assert any(said in problem for problem in problems(folder))
