"""Publish a dataset folder to the Hub: verify it, write its card, upload it in one commit.

A commit is applied completely or not at all, so readers never see half a version. The shards are uploaded first, and
shards that the Hub already has are skipped. So an interrupted upload continues where it stopped, and publishing an
unchanged folder uploads nothing.
"""

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.dataset.card import CARD, FUNNEL, THUMBNAILS, write_card
from mella_hf.dataset.remove import REMOVALS
from mella_hf.dataset.thumbnails import write_thumbnails
from mella_hf.dataset.verify import verify_dataset
from mella_hf.dataset.write import languages_in, shard_paths
from mella_hf.errors import MellaError
from mella_hf.hub_errors import FIRST_WAIT, hub_errors, retried
from mella_hf.sample import SPLITS

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_FILES = ("README.md", CARD, FUNNEL, THUMBNAILS, REMOVALS)
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_PUBLISHED = re.compile(r"[\w-]+/[a-z_]+-\d{5}-of-\d{5}\.parquet")


@dataclass
class PublishReport:
    """What was, or with `dry_run` would be, sent.

    Attributes:
        add: path in the repo -> bytes, of files that are new or changed.
        delete: files of an earlier version that the dataset no longer has.
        unchanged: how many files the repo has already as they are.
        url: of the commit or the pull request; None when nothing was sent.
    """

    repo: str
    add: dict[str, int] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    unchanged: int = 0
    url: str | None = None


def publish_dataset(
    folder: Path | str,
    repo: str,
    *,
    private: bool = False,
    create_pr: bool = False,
    gated: bool = False,
    dry_run: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
    say: Callable[[str], None] = print,
    wait: float = FIRST_WAIT,
) -> PublishReport:
    """Publish a dataset folder as `org/name`.

    Args:
        private: make a new repo private.
        create_pr: open one pull request instead of committing to main.
        gated: readers must agree to share their contact first; access is then automatic.
        dry_run: check, compare and report, but send nothing.
        workers: processes of the check, as for `verify_dataset`.
        executor: runs the check instead of processes of this machine.
        endpoint: address of the Hub; the official one by default.
        token: token for the Hub; that of `hf auth login` by default.
        say: receives a line whenever the Hub asks to wait.
        wait: seconds before the first retry.

    Raises:
        MellaError: when the dataset is not sound (nothing is sent then), or the Hub refuses.
    """
    from huggingface_hub import HfApi

    folder = Path(folder)
    if not _REPO.fullmatch(repo):
        raise MellaError(f"{repo!r} does not name a dataset repo; give ORGANISATION/NAME, such as 'org/mella'.")
    write_thumbnails(folder)
    write_card(folder, repo=repo)
    verify_dataset(folder, workers=workers, executor=executor, progress=progress).require_sound()
    api = HfApi(endpoint=endpoint, token=token)
    with hub_errors(repo, "publish to"):
        if not dry_run:
            retried(lambda: _prepare_repo(api, repo, private, gated), say, wait)
        remote = retried(lambda: remote_files(api, repo, missing_ok=dry_run), say, wait)
        report = compare(folder, repo, remote)
        if (report.add or report.delete) and not dry_run:
            report.url = retried(lambda: _commit(api, folder, report, create_pr), say, wait)
    return report


def local_files(folder: Path) -> dict[str, Path]:
    """What of a dataset folder is published: the shards, the card and what belongs to it. No rejects, no work."""
    paths = [folder / name for name in _FILES if (folder / name).exists()]
    paths += [p for code in languages_in(folder) for split in SPLITS for p in shard_paths(folder, code, split)]
    return {path.relative_to(folder).as_posix(): path for path in paths}


def remote_files(api: "HfApi", repo: str, *, missing_ok: bool = False) -> dict[str, str]:
    """Path -> sha256 (large files) or git blob id (small ones), of the repo's main branch."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.dataset_info(repo, files_metadata=True)
    except RepositoryNotFoundError:
        if missing_ok:
            return {}
        raise
    return {file.rfilename: file.lfs.sha256 if file.lfs else str(file.blob_id) for file in info.siblings or []}


def compare(folder: Path, repo: str, remote: dict[str, str]) -> PublishReport:
    """What differs between a folder and a repo. Files of the repo that are not the dataset's are left alone."""
    report = PublishReport(repo)
    files = local_files(folder)
    for name, path in files.items():
        if remote.get(name) in (None, ""):
            report.add[name] = path.stat().st_size
        elif remote[name] in _names(path):
            report.unchanged += 1
        else:
            report.add[name] = path.stat().st_size
    report.delete = sorted(name for name in remote if _PUBLISHED.fullmatch(name) and name not in files)
    return report


def _names(path: Path) -> tuple[str, str]:
    """The sha256 of a file, and its git blob id: the Hub knows large files by the one, small ones by the other."""
    sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            sha256.update(chunk)
            git.update(chunk)
    return sha256.hexdigest(), git.hexdigest()


def _prepare_repo(api: "HfApi", repo: str, private: bool, gated: bool) -> None:
    # None, not False: an organisation may make its repos private by default.
    api.create_repo(repo, repo_type="dataset", private=private or None, exist_ok=True)
    if gated:
        api.update_repo_settings(repo, repo_type="dataset", gated="auto")


def _commit(api: "HfApi", folder: Path, report: PublishReport, create_pr: bool) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    operations: list[Any] = [CommitOperationDelete(name) for name in report.delete]
    operations += [CommitOperationAdd(name, folder / name) for name in report.add]
    info = api.create_commit(
        report.repo,
        operations,
        repo_type="dataset",
        commit_message=f"Publish {len(report.add)} files, remove {len(report.delete)}",
        create_pr=create_pr,
    )
    return info.pr_url or info.commit_url
