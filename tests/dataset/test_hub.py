"""Publishing to and loading from a Hub on loopback: whole commits, nothing sent twice, faults survived or explained."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from dataset_samples import record
from local_hub import READ_TOKEN, LocalHub
from packaging.version import Version

from mella_hf.dataset.card.card import write_card, write_funnel
from mella_hf.dataset.removal.remove import remove_samples
from mella_hf.dataset.write import shard_paths, write_split

REPO = "tester/mella"


@pytest.fixture
def hub(tmp_path: Path):
    with LocalHub(tmp_path / "hub") as hub:
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small dataset: know in three shards."""
    write_split([record(n) for n in range(530)], tmp_path / "d", "ar", "know", shard_bytes=1)
    write_split([record(n) for n in range(600, 605)], tmp_path / "d", "ar", "know_test")
    write_split([record(n, source="ling") for n in range(700, 705)], tmp_path / "d", "ar", "ling")
    write_card(tmp_path / "d")
    return tmp_path / "d"


class Client:
    """Runs code as a user of the local Hub, in a process of its own."""

    def __init__(self, hub: LocalHub, home: Path):
        self.hub, self.home = hub, home

    def start(self, code: str, **environment: str | None) -> subprocess.Popen:
        token = environment.pop("HF_TOKEN", "hf_test_write")
        settings = {**os.environ, **self.hub.environment(self.home, token), "PYTHONUTF8": "1", **environment}
        command = [sys.executable, "-c", code]
        return subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, code: str, **environment: str | None) -> str:
        process = self.start(code, **environment)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err[-3000:]
        return out


@pytest.fixture
def client(hub: LocalHub, tmp_path: Path) -> Client:
    return Client(hub, tmp_path / "home")


def publish(folder: Path, **options: object) -> str:
    """Code that publishes and prints what happened, or the error."""
    arguments = {"workers": 0, "progress": False, "wait": 0.05, **options}
    return (
        "from mella_hf.dataset.publish import publish_dataset\n"
        "from mella_hf.errors import MellaError\n"
        "try:\n"
        f"    report = publish_dataset({str(folder)!r}, {REPO!r}, **{arguments!r})\n"
        "except MellaError as error:\n"
        "    print('ERROR', error)\n"
        "else:\n"
        "    print(len(report.add), report.unchanged, report.delete, report.url)\n"
    )


def load(config: str = "ar", **options: object) -> str:
    """Code that loads from the Hub through our builder."""
    call = f"dataset = load_dataset('mella', {config!r}, **{options!r})\n"
    return f"import mella_hf\nfrom datasets import load_dataset\n{call}"


def tree(folder: Path) -> dict[str, bytes]:
    """What is published of a folder."""
    names = ["README.md", "card.json", "facts.json", "croissant.json", "thumbnails/ar.jpg"]
    paths = [folder / name for name in names] + sorted((folder / "ar").glob("*.parquet"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def published(hub: LocalHub, ref: str = "main") -> dict[str, bytes]:
    return {name: data for name, data in hub.files(REPO, ref).items() if name != ".gitattributes"}


def test_publish_and_load_back(hub: LocalHub, client: Client, folder: Path) -> None:
    assert (
        client.run(publish(folder)) == f"10 0 [] {hub.endpoint}/datasets/{REPO}/commit/{hub.repos[REPO].refs['main']}\n"
    )
    assert published(hub) == tree(folder)
    assert hub.repos[REPO].titles == ["initial commit", "Publish 10 files, remove 0"]
    read = (
        "import hashlib\nfrom datasets import Image\n"
        "rows = dataset.cast_column('image', Image(decode=False))\n"
        "print(len(rows), all(hashlib.sha256(r['image']['bytes']).hexdigest() == r['id'] for r in rows))\n"
    )
    assert client.run(load(split="know") + read, MELLA_REPO=REPO).endswith("530 True\n")
    code = f"from datasets import load_dataset\ndataset = load_dataset({REPO!r}, 'ar', split='know_test')\n"
    assert client.run(code + read).endswith("5 True\n")


def test_one_split_downloads_no_other(hub: LocalHub, client: Client, folder: Path) -> None:
    client.run(publish(folder))
    hub.requests.clear()
    client.run(load(split="know_test"), MELLA_REPO=REPO)
    assert hub.counted(r"GET .*/ar/know_test-00000-of-00001\.parquet") >= 1
    assert hub.counted(r"GET .*/ar/(know|ling)-") == 0


NO_HUB = {
    "hub offline": {"HF_HUB_OFFLINE": "1"},
    "datasets offline": {"HF_DATASETS_OFFLINE": "1"},
    "unreachable": {"HF_HUB_OFFLINE": "0"},
    "503": {"HF_HUB_OFFLINE": "0"},
    "one 503": {"HF_HUB_OFFLINE": "0"},
    "login page": {"HF_HUB_OFFLINE": "0"},
}
LOGIN = b"<!doctype html><title>Welcome to the hotel</title>"


@pytest.mark.parametrize(
    ("how", "before"), list(zip(NO_HUB, ["plain", "mella", "mella", "plain", "mella", "mella"], strict=True))
)
def test_without_the_hub(hub: LocalHub, client: Client, folder: Path, how: str, before: str) -> None:
    """What is in the cache, from whichever way of loading, loads and streams."""
    client.run(publish(folder))
    name, environment = ("'mella'", {"MELLA_REPO": REPO}) if before == "mella" else (repr(REPO), {})
    client.run(f"import mella_hf, datasets\ndatasets.load_dataset({name}, 'ar')", **environment)
    hub.requests.clear()
    if how in ("503", "one 503"):
        hub.fail(".*", 503, times=1 if how == "one 503" else 1000)
    if how == "login page":
        hub.fail(".*", 200, times=1000, page=LOGIN)
    if how == "unreachable":
        hub.server.shutdown()
        hub.server.server_close()
    count = "print(len(dataset), sum(1 for row in load_dataset('mella', 'ar', split='know', streaming=True)))\n"
    code = load(split="know_test") + count
    assert client.run(code, MELLA_REPO=REPO, **NO_HUB[how]) == "5 530\n"
    if "offline" in how:
        assert hub.requests == []


def test_offline_without_a_cache(hub: LocalHub, client: Client, folder: Path) -> None:
    client.run(publish(folder))
    client.run(load(split="know_test"), MELLA_REPO=REPO)
    code = "import mella_hf, datasets, sys\ntry: datasets.load_dataset('mella', 'ar', split='ling', streaming=s)\n"
    code += "except mella_hf.MellaError as error: print(error)\n"
    for streaming in (True, False):
        out = client.run(f"s = {streaming}\n{code}", MELLA_REPO=REPO, HF_DATASETS_OFFLINE="1")
        assert "/ar/ling-00000-of-00001.parquet; load the split 'ling' once online." in out
    out = client.run(f"s = False\n{code}", MELLA_REPO="other/repo", HF_DATASETS_OFFLINE="1")
    assert out.startswith("Cannot read the dataset repo 'other/repo' on the Hub (OSError: offline")


@pytest.mark.parametrize(("status", "page"), [(503, b""), (200, LOGIN)])
def test_a_split_that_the_cache_lacks_while_the_hub_does_not_answer(
    hub: LocalHub, client: Client, folder: Path, status: int, page: bytes
) -> None:
    client.run(publish(folder))
    client.run(load(split="know_test"), MELLA_REPO=REPO)
    hub.fail(".*", status, times=1000, page=page)
    code = "import mella_hf, datasets\ntry: datasets.load_dataset('mella', 'ar', split='ling')\n"
    code += "except mella_hf.MellaError as error: print(error)\n"
    out = client.run(code, MELLA_REPO=REPO)
    assert out.startswith("Cannot read the split 'ling' from the Hub (") and "and the cache lacks it; try again" in out


def test_streaming_reads_what_it_needs(hub: LocalHub, client: Client, folder: Path) -> None:
    client.run(publish(folder))
    hub.requests.clear()
    code = load(split="know", streaming=True) + "print(next(iter(dataset))['image'].size)\n"
    assert client.run(code, MELLA_REPO=REPO) == "(96, 64)\n"
    assert hub.counted(r"GET .*/ar/know-00001") == 0
    plain = f"dataset = load_dataset({REPO!r}, 'ar', split='know', streaming=True)\nprint(sum(1 for _ in dataset))"
    assert client.run("from datasets import load_dataset\n" + plain) == "530\n"


def test_a_published_version_stays_readable(hub: LocalHub, client: Client, folder: Path) -> None:
    client.run(publish(folder))
    first = hub.repos[REPO].refs["main"]
    write_split([record(n) for n in range(10)], folder, "ar", "know")
    assert client.run(publish(folder)).startswith("5 3 ['ar/know-00000-of-00003.parquet', ")
    assert "ar/know-00000-of-00003.parquet" not in published(hub)
    count = "print(len(dataset))\n"
    assert client.run(load(split="know") + count, MELLA_REPO=REPO) == "10\n"
    assert client.run(load(split="know", revision=first) + count, MELLA_REPO=REPO) == "530\n"


def test_twice_sends_nothing(hub: LocalHub, client: Client, folder: Path) -> None:
    client.run(publish(folder))
    hub.requests.clear()
    assert client.run(publish(folder)) == "0 10 [] None\n"
    assert hub.counted(r"POST .*/(commit|preupload)|PUT ") == 0


def test_files_of_others_are_left_alone(hub: LocalHub, client: Client, folder: Path) -> None:
    client.run(publish(folder))
    file = {"path_or_fileobj": b"x", "path_in_repo": "notes/a.txt", "repo_id": REPO, "repo_type": "dataset"}
    client.run(f"from huggingface_hub import HfApi\nHfApi().upload_file(**{file!r})")
    write_split([record(n) for n in range(3)], folder, "ar", "know")
    client.run(publish(folder))
    assert published(hub)["notes/a.txt"] == b"x"


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders: ar with know and its test, and ar with ling beside th."""
    first, second = tmp_path / "first", tmp_path / "second"
    write_split([record(n, license="MIT") for n in range(6)], first, "ar", "know")
    write_split([record(n) for n in range(10, 12)], first, "ar", "know_test")
    write_split([record(n, source="ling") for n in range(20, 23)], second, "ar", "ling")
    write_split([record(n, "th", domain="x.co.th") for n in range(30, 34)], second, "th", "know")
    write_funnel(first, {"ar": {"know": {"kept": 8, "dropped_text_missing": 5}}})
    write_funnel(second, {"ar": {"ling": {"kept": 3}}, "th": {"know": {"kept": 4, "dropped_image_broken": 7}}})
    write_card(first, origin="From the first.")
    write_card(second, origin="From the second.")
    return first, second


def test_what_only_the_hub_has_stays(hub: LocalHub, client: Client, two: tuple[Path, Path], tmp_path: Path) -> None:
    """Shards, configs, numbers and thumbnails; whichever folder comes first, and as often as one likes."""
    first, second = two
    client.run(publish(second))
    assert "[]" in client.run(publish(first))
    files = published(hub)
    assert {name for name in files if name.endswith((".parquet", ".jpg"))} == {
        "ar/know-00000-of-00001.parquet", "ar/know_test-00000-of-00001.parquet", "ar/ling-00000-of-00001.parquet",
        "th/know-00000-of-00001.parquet", "thumbnails/ar.jpg", "thumbnails/th.jpg",
    }  # fmt: skip
    card = files["README.md"].decode()
    for line in (
        "15 image-text pairs", "| `ar` Arabic | 6 (", "| `th` Thai | 4 (", "| MIT | 6 |", "| CC-BY-4.0 | 9 |",
        "| x.co.th | 4 |", "| `th` | know | 4 | image_broken 7 |", "| `ar` | know | 8 | text_missing 5 |",
        "From the first.", "From the second.",
    ):  # fmt: skip
        assert line in card, line
    code = (
        "from datasets import get_dataset_config_names, load_dataset\n"
        f"print(get_dataset_config_names({REPO!r}), {{k: len(v) for k, v in load_dataset({REPO!r}, 'ar').items()}})\n"
        f"print(len(load_dataset({REPO!r}, 'th', split='know')))\n"
    )
    assert client.run(code) == "['ar', 'th', 'all'] {'know': 6, 'ling': 3, 'know_test': 2}\n4\n"
    verify = f"from mella_hf.dataset.verify import verify_dataset as v\nprint(v({REPO!r}, workers=0).problems)"
    assert client.run(verify, MELLA_CACHE=str(tmp_path / "cache")) == "[]\n"
    assert client.run(publish(first)).startswith("0 8 []")
    client.run(publish(second))
    assert published(hub)["README.md"].decode().count("From the") == 2


def test_facts_of_kept_splits_come_from_the_rows_where_the_repo_does_not_state_them(
    hub: LocalHub, client: Client, two: tuple[Path, Path]
) -> None:
    client.run(publish(two[1]))
    client.run(f"from huggingface_hub import HfApi\nHfApi().delete_file('facts.json', {REPO!r}, repo_type='dataset')")
    client.run(publish(two[0]))
    assert "| x.co.th | 4 |" in published(hub)["README.md"].decode()


def test_removing_is_asked_for_by_name(hub: LocalHub, client: Client, two: tuple[Path, Path]) -> None:
    first, second = two
    client.run(publish(second))
    assert "--remove 'cs' names nothing on the Hub that" in client.run(publish(first, remove=["cs"]))
    assert "is in" in client.run(publish(first, remove=["ar/know"]))
    out = client.run(publish(first, remove=["th"]))
    assert "['th/know-00000-of-00001.parquet', 'thumbnails/th.jpg']" in out
    assert "Thai" not in published(hub)["README.md"].decode() and "ar/ling-00000-of-00001.parquet" in published(hub)


def test_what_a_removal_emptied_goes_from_the_hub(hub: LocalHub, client: Client, two: tuple[Path, Path]) -> None:
    client.run(publish(two[1]))
    remove_samples(two[1], domain="x.co.th")
    client.run(publish(two[1]))
    assert not [name for name in published(hub) if "th/" in name or "th.jpg" in name]
    remove_samples(two[1], ids=[record(n)["id"] for n in range(20, 23)])
    client.run(publish(two[1]))
    assert list(published(hub)) == ["card.json", "funnel.json", "removals.jsonl"]


def test_tests_stay_apart_from_training_on_the_hub(hub: LocalHub, client: Client, two: tuple[Path, Path]) -> None:
    client.run(publish(two[0]))
    write_split([record(n, source="ling") for n in (10, 11, 40)], two[1], "ar", "ling")
    assert "ERROR 2 images of ar in know and ling of " in client.run(publish(two[1]))


def test_two_at_once(hub: LocalHub, client: Client, two: tuple[Path, Path]) -> None:
    """Both go in: the one that comes second reads again what is there."""
    client.run(publish(two[0]))
    write_split([record(n) for n in range(50, 53)], two[0], "ar", "know")
    processes = [client.start(publish(folder)) for folder in two]
    outs = [process.communicate(timeout=600) for process in processes]
    assert all("ERROR" not in out for out, _ in outs), outs
    card = published(hub)["README.md"].decode()
    assert "12 image-text pairs" in card and "| `th` Thai | 4 (" in card and "| `ar` Arabic | 3 (" in card


def test_a_card_edited_by_hand_is_not_overwritten(hub: LocalHub, client: Client, folder: Path) -> None:
    client.run(publish(folder))
    edited = {"path_or_fileobj": b"mine", "path_in_repo": "README.md", "repo_id": REPO, "repo_type": "dataset"}
    client.run(f"from huggingface_hub import HfApi\nHfApi().upload_file(**{edited!r})")
    assert "ERROR The card of tester/mella was edited by hand." in client.run(publish(folder))
    assert published(hub)["README.md"] == b"mine"
    client.run(publish(folder, replace_card=True))
    assert published(hub) == tree(folder)


def test_private_on_a_public_repo_says_that_it_stays_public(hub: LocalHub, client: Client, folder: Path) -> None:
    assert "public" not in client.run(publish(folder, private=True, dry_run=True))
    client.run(publish(folder))
    for dry_run in (True, False):
        out = client.run(publish(folder, private=True, dry_run=dry_run))
        assert out.startswith("tester/mella is public already and stays public; make it private on its settings page.")
    assert not hub.repos[REPO].private


def test_dry_run_changes_nothing(hub: LocalHub, client: Client, folder: Path) -> None:
    assert client.run(publish(folder, dry_run=True)) == "10 0 [] None\n"
    assert hub.repos == {}


def test_pull_request(hub: LocalHub, client: Client, folder: Path) -> None:
    assert client.run(publish(folder, create_pr=True)).endswith(f"{hub.endpoint}/datasets/{REPO}/discussions/1\n")
    assert published(hub) == {}
    assert published(hub, "refs/pr/1") == tree(folder)


def test_private_and_gated(hub: LocalHub, client: Client, folder: Path) -> None:
    client.run(publish(folder, private=True, gated=True))
    assert hub.repos[REPO].private and hub.repos[REPO].gated == "auto"
    assert client.run(load(split="know_test") + "print(len(dataset))\n", MELLA_REPO=REPO) == "5\n"
    refused = load(split="know_test").replace("dataset = load", "load")
    code = f"try:\n    {refused.splitlines()[2]}\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    code = "\n".join([*refused.splitlines()[:2], code])
    shutil.rmtree(client.home)
    out = client.run(code, MELLA_REPO=REPO, HF_TOKEN=None)
    assert "MellaError Cannot read the dataset repo 'tester/mella' on the Hub (RepositoryNotFoundError" in out
    assert "log in with 'hf auth login' if the repo is private or gated" in out
    hub.repos[REPO].private = False
    assert "gated" in client.run(code, MELLA_REPO=REPO, HF_TOKEN=READ_TOKEN).lower()


@pytest.mark.parametrize(
    ("pattern", "status"),
    [
        ("POST .*/commit/", 412), ("POST .*/commit/", 503), ("POST .*/preupload/", 500), ("PUT /lfs/", 503),
        ("POST /api/repos/create", 429), ("GET /api/datasets/", 429),
    ],
)  # fmt: skip
def test_a_busy_hub_is_full(hub: LocalHub, client: Client, folder: Path, pattern: str, status: int) -> None:
    hub.fail(pattern, status, times=2)
    out = client.run(publish(folder))
    assert out.splitlines()[-1].startswith("10 0 []"), out
    assert published(hub) == tree(folder)
    assert len(hub.repos[REPO].titles) == 2


def test_the_hub_says_how_long_to_wait(hub: LocalHub, client: Client, folder: Path) -> None:
    hub.fail("POST .*/commit/", 412, Retry_After="1")
    assert "The Hub answered 412; trying again in 1 s (1 of 6)." in client.run(publish(folder))


def test_a_hub_that_stays_broken(hub: LocalHub, client: Client, folder: Path) -> None:
    hub.fail("POST .*/commit/", 412, times=99)
    out = client.run(publish(folder))
    assert "ERROR Cannot publish to 'tester/mella' (HfHubHTTPError: " in out
    assert out.endswith("try again; what was uploaded is not sent twice.\n")
    assert published(hub) == {}


@pytest.mark.parametrize(
    ("token", "hint"),
    [
        ("hf_test_wrong", "the Hub does not accept the token; log in with `hf auth login` or set HF_TOKEN"),
        (READ_TOKEN, "the token may not publish to there; use one with write access to the organisation"),
        (None, "the Hub does not accept the token; log in with `hf auth login` or set HF_TOKEN"),
    ],
)
def test_a_token_that_does_not_do(hub: LocalHub, client: Client, folder: Path, token: str | None, hint: str) -> None:
    out = client.run(publish(folder), HF_TOKEN=token)
    assert out.startswith("ERROR Cannot publish to 'tester/mella' (") and hint in out
    assert "hf_test" not in out


def test_a_bad_dataset_is_not_sent(hub: LocalHub, client: Client, folder: Path) -> None:
    write_split([record(3)], folder, "ar", "know_test")
    out = client.run(publish(folder))
    assert out.startswith("ERROR ") and "1 test images are in training as well" in out
    assert hub.repos == {}


def test_a_repo_without_organisation(client: Client, folder: Path) -> None:
    out = client.run(publish(folder).replace(repr(REPO), "'mella'"))
    assert out == "ERROR 'mella' does not name a dataset repo; give ORGANISATION/NAME, such as 'org/mella'.\n"


def test_killed_in_the_middle(hub: LocalHub, client: Client, folder: Path) -> None:
    """SIGKILL while shards go up; no commit is seen, and the second run sends only what is missing."""
    hub.room = 2
    process = client.start(publish(folder))
    assert hub.full.wait(timeout=600)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert published(hub) == {} and len(hub.uploaded) == 2
    hub.room = None
    assert client.run(publish(folder)).startswith("10 0 []")
    assert published(hub) == tree(folder)
    assert len(hub.uploaded) == len(set(hub.uploaded)) == 6


OLD_XET = Version(huggingface_hub.__version__) < Version("1.33")
XET = pytest.param(True, marks=pytest.mark.skipif(OLD_XET, reason="the local Hub speaks Xet with newer clients"))


@pytest.mark.parametrize("xet", [False, XET], ids=["lfs", "xet"])
def test_killed_before_the_commit(tmp_path: Path, folder: Path, xet: bool) -> None:
    """SIGKILL when all files are there and the commit is not; the second run makes it and sends no shard again."""
    with LocalHub(tmp_path / "killed", xet=xet) as hub:
        client = Client(hub, tmp_path / "home")
        hub.fail("POST .*/commit/", 0)
        process = client.start(publish(folder))
        assert hub.full.wait(timeout=600)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert published(hub) == {}
        assert client.run(publish(folder)).startswith("10 0 []")
        assert published(hub) == tree(folder)
        assert len(hub.uploaded) == (0 if xet else 6)


def test_verify_a_published_repo(hub: LocalHub, client: Client, folder: Path, tmp_path: Path) -> None:
    client.run(publish(folder))
    code = (
        "from mella_hf.dataset.verify import verify_dataset\n"
        f"report = verify_dataset({REPO!r}, workers=0, progress=False)\n"
        "print(report.rows, report.problems)\n"
    )
    home = str(tmp_path / "cache")
    assert client.run(code, MELLA_CACHE=home) == "{'ar': {'know': 530, 'ling': 5, 'know_test': 5}} []\n"
    repo = hub.repos[REPO]
    card = published(hub)["README.md"].replace(b"num_examples: 530", b"num_examples: 531")
    changed = json.dumps({"key": "header", "value": {"summary": "x"}}).encode()
    assert changed and card  # a wrong card, committed by hand
    from local_hub import Blob, _git_oid

    files = repo.commits[repo.refs["main"]] | {"README.md": Blob(hub.store(card), len(card), _git_oid(card), lfs=False)}
    repo.commit("main", files, "by hand")
    assert "the config 'ar' counts {'know': 531" in client.run(code, MELLA_CACHE=home)


def test_a_repo_that_is_not_there(client: Client) -> None:
    out = client.run(
        "import mella_hf\nfrom datasets import load_dataset\n"
        "try:\n    load_dataset('mella', 'ar')\nexcept mella_hf.MellaError as error:\n    print(error)\n",
        MELLA_REPO="nobody/nothing",
    )
    assert out.startswith("Cannot read the dataset repo 'nobody/nothing' on the Hub (RepositoryNotFoundError")
    assert (
        "Pass data_dir=FOLDER to read a local dataset, name another repo in the environment variable MELLA_REPO" in out
    )


def test_xet_storage(tmp_path: Path, folder: Path) -> None:
    """The same through Xet: byte-identical back, and a changed row costs little."""
    with LocalHub(tmp_path / "xethub", xet=True) as hub:
        client = Client(hub, tmp_path / "home")
        assert client.run(publish(folder)).startswith("10 0 []")
        assert published(hub) == tree(folder)
        assert client.run(load(split="know") + "print(len(dataset))\n", MELLA_REPO=REPO) == "530\n"
        assert client.run(publish(folder)) == "0 10 [] None\n"


def test_the_shards_are_all_there(folder: Path) -> None:
    assert len(shard_paths(folder, "ar", "know")) == 3


def test_a_language_that_differs_in_case_alone_from_one_on_the_hub(
    hub: LocalHub, client: Client, folder: Path, tmp_path: Path
) -> None:
    """Whoever clones the repo to Windows or macOS would get one of the two."""
    client.run(publish(folder))
    before = published(hub)
    write_split([record(n, language="AR") for n in range(900, 905)], tmp_path / "other", "AR", "know")
    out = client.run(publish(tmp_path / "other"))
    assert out.startswith("ERROR ") and "'AR' and 'ar' are one file on Windows and macOS" in out
    assert published(hub) == before
    assert client.run(publish(tmp_path / "other", remove=["ar"])).endswith(f"{hub.repos[REPO].refs['main']}\n")
    assert {name.partition("/")[0] for name in published(hub) if name.endswith(".parquet")} == {"AR"}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_split([record(n) for n in range(3)], tmp_path / "small", "ar", "know")
    write_card(tmp_path / "small")
    return tmp_path / "small"


SHORT_SILENCE = (
    "import time\nimport mella_hf.hub_errors as errors\nerrors.SILENCE = 0.7\n"
    "time.sleep = lambda seconds: None\n"  # between the tries of huggingface_hub
)


def test_a_hub_that_takes_a_connection_and_says_nothing_is_given_up(hub: LocalHub, client: Client, small: Path) -> None:
    """In each request of a publication. Uploads are tried six times by huggingface_hub itself."""
    silent = {
        "POST /api/repos/create": 1, "GET /api/datasets/": 1, "POST .*/preupload/": 6, "POST .*/objects/batch": 6,
        "PUT /lfs/": 12, "POST .*/commit/": 1,
    }  # fmt: skip
    for pattern, times in silent.items():
        hub.fail(pattern, 0, times=times)
    out = client.run(SHORT_SILENCE + publish(small) * 8)
    host = hub.endpoint.removeprefix("http://")
    line = (
        f"ERROR Cannot publish to 'tester/mella' (ReadTimeout: timed out): {host} took the connection and said nothing "
        "for 1 s; try again; what was uploaded is not sent twice."
    )
    refused = [one for one in out.splitlines() if one.startswith("ERROR")]
    assert len(refused) >= len(silent) and set(refused) == {line}, out
    assert "\n6 0 [] " in out and not any(fault.times for fault in hub.faults), out
    assert len(hub.repos[REPO].titles) == 2 and len(hub.uploaded) == len(set(hub.uploaded))


def test_a_hub_that_falls_silent_while_it_is_read(hub: LocalHub, client: Client, small: Path) -> None:
    client.run(publish(small))
    hub.fail("GET .*/tree/main", 0, times=99)
    process = client.start(SHORT_SILENCE + f"from mella_hf.cli import main\nmain(['info', {REPO!r}])\n")
    _, err = process.communicate(timeout=600)
    assert process.returncode == 1 and err.splitlines()[-1].startswith("error: Cannot read 'tester/mella' (ReadTimeout")


def test_a_storage_that_stays_full_is_one_line(hub: LocalHub, client: Client, small: Path) -> None:
    """An upload has a thread of its own, whose failure is a RuntimeError."""
    hub.fail("PUT /lfs/", 507, times=99)
    out = client.run(publish(small))
    assert "ERROR Cannot publish to 'tester/mella' (HfHubHTTPError: Server error '507 " in out


def test_offline_is_said_before_the_folder_is_checked(hub: LocalHub, client: Client, small: Path) -> None:
    (small / "ar" / "know-00000-of-00001.parquet").write_bytes(b"no parquet")  # a check would find this
    out = client.run(publish(small) + publish(small, dry_run=True), HF_HUB_OFFLINE="1")
    assert out.count("ERROR Cannot publish to 'tester/mella': HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is set") == 2
    assert not hub.requests
