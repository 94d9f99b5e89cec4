"""What the machine refuses, by command: one line, exit status 1, and after the mend the same command goes on."""

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from image_folders import write_folder
from pictures import png

from mella_hf import dataset
from mella_hf.cli import main
from mella_hf.faults import fault_line
from mella_hf.locks import sole_use
from mella_hf.sample import sha256_hex

ANSWERS = [{"id": str(i), "prediction": "Kostel ve městě", "reference": "Starý kostel ve městě"} for i in range(3)]
PAGE = '<html lang="cs"><body><img src="a.jpg" alt="Turisté stojí na kamenném mostě a dívají se na starý hrad."></body>'


def ended(words: str, place: Path) -> str | None:
    """What a command ends with, as a user sees it; None if it ends well. IN and OUT are folders of the place."""
    try:
        main(words.replace("IN", str(place / "in")).replace("OUT", str(place / "out")).split())
    except SystemExit as end:
        return None if end.code == 0 else str(end.code)
    raise AssertionError("main always ends by SystemExit")


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        words: what to type; IN is the folder of inputs, OUT what is written.
        made: a file that is there when it has worked, below OUT.
        reads: the input that is made unreadable.
        writes_later: whether it makes OUT before it has read everything, so that OUT can go meanwhile.
    """

    words: str
    made: str
    reads: str
    writes_later: str = ""

    def run(self, place: Path) -> str | None:
        """What it ends with, as a user sees it; None if it ends well."""
        return ended(self.words, place)


COMMANDS = {
    "build": Command(
        "build IN/images --out OUT --source folder --languages ar --kind ling --workers 0",
        "ar/ling-00000-of-00001.parquet",
        "images/metadata.jsonl",
        "mella_hf.dataset.building.build.write_thumbnails",
    ),
    "collect": Command(
        "collect --pages IN/pages --base-url http://x.example/ --texts-only --languages cs --out OUT --workers 0",
        "report.json",
        "pages/a.html",
        "mella_hf.know.report.write_collect_report",
    ),
    "score": Command("score IN/answers.jsonl --language cs --out OUT/scores.json", "scores.json", "answers.jsonl"),
    "languages": Command("languages new yo --out OUT", "yo.toml", ""),
    "export": Command("review IN/dataset --export OUT/a.jsonl", "a.jsonl", "dataset/ar/ling-00000-of-00001.parquet"),
    "remove": Command("remove OUT --ids IN/ids.txt", "removals.jsonl", "ids.txt"),
}
FRESH = [name for name in COMMANDS if name != "remove"]  # which make OUT
LOCKS = {"build": ".mella.lock", "collect": ".collect/lock.json", "remove": ".mella.lock"}  # below OUT


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    lines = [{"file_name": f"{i}.png", "text": f"صورة رقم {i} لبيت قديم"} for i in range(4)]
    write_folder(folder / "in" / "images", lines, {f"{i}.png": png(i) for i in range(4)})
    (folder / "in" / "pages").mkdir()
    (folder / "in" / "pages" / "a.html").write_text(PAGE, "utf-8")
    (folder / "in" / "answers.jsonl").write_text("\n".join(map(json.dumps, ANSWERS)), "utf-8")
    (folder / "in" / "ids.txt").write_text(sha256_hex(png(0)), "utf-8")
    assert COMMANDS["build"].run(folder) is None
    (folder / "out").rename(folder / "in" / "dataset")
    return folder


@pytest.fixture
def place(inputs: Path, tmp_path: Path) -> Path:
    """A folder with `in`, and `out` not there yet."""
    shutil.copytree(inputs / "in", tmp_path / "in")
    return tmp_path


@contextmanager
def without_roots_powers() -> Iterator[None]:
    """Permissions hold for root too: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH are off (capabilities(7))."""

    class Header(ctypes.Structure):
        _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))

    libc = ctypes.CDLL(None, use_errno=True)
    header, data = Header(0x20080522, 0), (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    assert libc.capget(ctypes.byref(header), data) == 0
    before = data[0]
    data[0] = before & ~(1 << 1) & ~(1 << 2)
    assert libc.capset(ctypes.byref(header), data) == 0
    try:
        yield
    finally:
        data[0] = before
        assert libc.capset(ctypes.byref(header), data) == 0


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file may become larger than `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def one_line(said: str | None) -> str:
    assert said is not None and said.startswith("error: ") and "\n" not in said and "Traceback" not in said, said
    return said


def goes_on(command: Command, place: Path) -> None:
    assert command.run(place) is None
    assert (place / "out" / command.made).is_file()


@pytest.mark.parametrize("name", FRESH)
def test_out_is_a_file(name: str, place: Path) -> None:
    (place / "out").write_text("mine")
    assert str(place / "out") in one_line(COMMANDS[name].run(place))
    assert (place / "out").read_text() == "mine"
    (place / "out").unlink()
    goes_on(COMMANDS[name], place)


@pytest.mark.parametrize("name", COMMANDS)
def test_out_may_not_be_written(name: str, place: Path) -> None:
    shutil.copytree(place / "in" / "dataset", place / "out") if name == "remove" else (place / "out").mkdir()
    (place / "out").chmod(0o555)
    with without_roots_powers():
        said = one_line(COMMANDS[name].run(place))
    assert "Permission denied" in said and str(place / "out") in said
    (place / "out").chmod(0o755)
    goes_on(COMMANDS[name], place)


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.reads])
def test_an_input_may_not_be_read(name: str, place: Path) -> None:
    if name == "remove":
        shutil.copytree(place / "in" / "dataset", place / "out")
    path = place / "in" / COMMANDS[name].reads
    path.chmod(0)
    with without_roots_powers():
        said = one_line(COMMANDS[name].run(place))
    assert "Permission denied" in said and path.name in said
    path.chmod(0o644)
    goes_on(COMMANDS[name], place)


def test_an_image_may_not_be_read(place: Path) -> None:
    """That says nothing about the image: it is not left out as missing, and so is there after the mend."""
    path = place / "in" / "images" / "0.png"
    path.chmod(0)
    with without_roots_powers():
        said = one_line(COMMANDS["build"].run(place))
    assert "Permission denied" in said and str(path) in said
    path.chmod(0o644)
    goes_on(COMMANDS["build"], place)
    made, expected = (pq.read_table(place / one / COMMANDS["build"].made) for one in ("out", "in/dataset"))
    assert made.equals(expected)


@pytest.mark.parametrize(("name", "size"), [("build", 2_000), ("collect", 500), ("score", 100)])
def test_a_file_becomes_too_large(name: str, size: int, place: Path) -> None:
    with file_limit(size):
        said = one_line(COMMANDS[name].run(place))
    assert "File too large" in said and "ulimit -f" in said
    goes_on(COMMANDS[name], place)


@pytest.mark.parametrize(("name", "room"), [("build", 8_192), ("collect", 8_192), ("score", 0)])
def test_the_disk_is_full(name: str, room: int, place: Path) -> None:
    (place / "out").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(place / "out")])
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        full = place / "out" / "full"
        with open(full, "wb") as file:  # leave room for the first few files only
            file.write(bytes(32 * 1024 - room))
        said = one_line(COMMANDS[name].run(place))
        assert "No space left on device" in said and "Free some space" in said
        subprocess.run(["mount", "-o", "remount,size=64m", str(place / "out")], check=True)
        goes_on(COMMANDS[name], place)
    finally:
        subprocess.run(["umount", str(place / "out")], check=True)


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.writes_later])
def test_out_goes_while_it_runs(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, function = COMMANDS[name].writes_later.rpartition(".")
    original: Callable[..., object] = getattr(sys.modules[module], function)

    def after_it_has_gone(*args: object, **kwargs: object) -> object:
        shutil.rmtree(place / "out")
        return original(*args, **kwargs)

    monkeypatch.setattr(f"{module}.{function}", after_it_has_gone)
    assert str(place / "out") in one_line(COMMANDS[name].run(place))
    monkeypatch.undo()
    goes_on(COMMANDS[name], place)


@pytest.mark.parametrize("words", ["build a --out b --source folder --languages ar", "score a.jsonl --language cs"])
def test_the_working_directory_is_gone(words: str, tmp_path: Path) -> None:
    script = "import os, sys; os.rmdir(os.getcwd()); from mella_hf.cli import main; main(sys.argv[1:])"
    ended = subprocess.run(
        [sys.executable, "-c", script, *words.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(dataset.__path__[0]).parent.parent)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1 and ended.stderr.startswith("error: ")


def test_the_standard_streams_may_be_closed(place: Path) -> None:
    """As some schedulers start a job."""
    words = COMMANDS["build"].words.replace("IN", str(place / "in")).replace("OUT", str(place / "out"))
    closed = 'exec "$@" <&- >&- 2>&-'
    command = ["sh", "-c", closed, "sh", sys.executable, "-m", "mella_hf", *words.split()]
    assert subprocess.run(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}).returncode == 0
    assert (place / "out" / COMMANDS["build"].made).is_file()


@pytest.mark.parametrize(("name", "lock"), LOCKS.items())
def test_a_second_one_is_told_who_the_first_is(name: str, lock: str, place: Path) -> None:
    if name == "remove":
        shutil.copytree(place / "in" / "dataset", place / "out")
    partial = place / "out" / ".collect" / "pages" / ".partial" / "a"
    partial.mkdir(parents=True)
    with sole_use(place / "out" / lock, place / "out", f"mella {name}"):
        said = one_line(COMMANDS[name].run(place))
    assert f"out is in use by mella {name}: process {os.getpid()} on " in said
    assert partial.is_dir()
    goes_on(COMMANDS[name], place)


def test_a_request_without_an_answer_is_one_line() -> None:
    """Whatever library asked; which of httpx and httpx2 it is depends on the version of huggingface_hub."""
    from huggingface_hub.errors import HTTPError

    assert str(fault_line(HTTPError("timed out"))).startswith("The network or the Hub failed (HTTPError: timed out). ")


@pytest.mark.parametrize(
    "words",
    [
        "score IN/missing.jsonl --language cs --out OUT", "report IN/missing --out OUT",
        "report IN/missing --out IN/page.html --export OUT", "report IN/missing IN/other --out OUT",
        "review IN/ids.txt --export OUT", "review IN/ids.txt --export OUT.jsonl", "try IN/missing --space OUT",
        "languages new yo --translator deepl --out OUT",
    ],
)  # fmt: skip
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(words: str, place: Path) -> None:
    """What else is wrong in these lines would be found only later."""
    (place / "file").write_text("mine")
    below = one_line(ended(words.replace("OUT", str(place / "file" / "out")), place))
    assert f"lies below {str(place / 'file')!r}, which is a file" in below
    (place / "locked").mkdir(mode=0o555)
    with without_roots_powers():
        locked = one_line(ended(words.replace("OUT", str(place / "locked" / "out")), place))
    assert f"{place / 'locked' / 'out'}" in locked and "Permission denied" in locked
    assert not list((place / "locked").iterdir()) and (place / "file").read_text() == "mine"


@pytest.mark.parametrize("words", ["score IN/missing.jsonl --language cs --out OUT", "report IN/missing --out OUT"])
def test_a_file_cannot_take_the_place_of_a_folder(words: str, place: Path) -> None:
    (place / "out").mkdir()
    assert f"--out {str(place / 'out')!r} is a folder; give the path of a file." in one_line(ended(words, place))
