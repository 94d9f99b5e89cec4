"""Publish a dataset folder to the Hub: verify it, write its card, upload it in one commit.

A commit is applied completely or not at all, so readers never see half a version. The shards are uploaded first, and
shards that the Hub already has are skipped. So an interrupted upload continues where it stopped, and publishing an
unchanged folder uploads nothing.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.dataset.card.card import (
    CARD,
    FACTS,
    FUNNEL,
    THUMBNAILS,
    edited_notice,
    git_oid,
    is_edited,
    keep_edited_card,
    write_card,
)
from mella_hf.dataset.card.croissant import CROISSANT
from mella_hf.dataset.files import REPO, SHARD, HubFiles, published_name_problems
from mella_hf.dataset.merging import Remote, check_disjoint, kept_places, merged_files, places_in
from mella_hf.dataset.removal.remove import LOCK, complete_removal
from mella_hf.dataset.removal.requests import REMOVALS, read_records
from mella_hf.dataset.thumbnails import write_thumbnails
from mella_hf.dataset.verify import verify_dataset
from mella_hf.dataset.write import all_shards
from mella_hf.errors import MellaError
from mella_hf.html.notebook import Shown, ShownTable
from mella_hf.hub_errors import FIRST_WAIT, hub_errors, require_online, retried
from mella_hf.locks import sole_use

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_CARD = ("README.md", CARD, FACTS, CROISSANT, FUNNEL)
_OWN = (*_CARD, "thumbnails.jpg")  # files of ours that may be out of date in a repo, and one of an earlier layout


@dataclass(repr=False)
class PublishReport(Shown):
    """What was, or with `dry_run` would be, sent.

    Attributes:
        add: path in the repo -> bytes, of files that are new or changed.
        delete: files of an earlier version that the dataset no longer has.
        kept: "language/split" of the repo that the folder does not have; they stay.
        unchanged: how many files the repo has already as they are.
        url: of the commit or the pull request; None when nothing was sent.
    """

    repo: str
    add: dict[str, int] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unchanged: int = 0
    url: str | None = None

    def _table(self) -> ShownTable:
        rows = [[name, f"{size / 1e6:,.1f}", "new or changed"] for name, size in self.add.items()]
        rows += [[name, "–", "deleted"] for name in self.delete]
        rows += [[place, "–", "only on the Hub, stays"] for place in self.kept]
        total = sum(self.add.values()) / 1e6
        changed = f"{len(self.add)} files ({total:,.1f} MB) new or changed"
        title = f"{self.repo}, {changed}, {self.unchanged} unchanged on the Hub"
        return ShownTable(title, ("", "MB", ""), rows, [self.url or "Nothing was sent."])


def publish_dataset(
    folder: Path | str,
    repo: str,
    *,
    remove: Sequence[str] = (),
    private: bool = False,
    create_pr: bool = False,
    gated: bool = False,
    replace_card: bool = False,
    dry_run: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
    say: Callable[[str], None] = print,
    wait: float = FIRST_WAIT,
) -> PublishReport:
    """Publish a dataset folder as `org/name`. What the repo has and the folder does not stays, and is on the card.

    Args:
        remove: languages ("th") or splits ("th/know") of the repo that go. The folder must not have them.
        private: make a new repo private; a repo that is public already stays public, which is said.
        create_pr: open one pull request instead of committing to main.
        gated: readers must agree to share their contact first; access is then automatic.
        replace_card: overwrite a card that was edited by hand, on the Hub or in the folder; the latter is kept as
            `README.edited.md`.
        dry_run: check, compare and report, but send nothing.
        workers: processes of the check, as for `verify_dataset`.
        executor: runs the check instead of processes of this machine.
        endpoint: address of the Hub; the official one by default.
        token: token for the Hub; that of `hf auth login` by default.
        say: receives a line whenever the Hub asks to wait, and what the user should know.
        wait: seconds before the first retry.

    Raises:
        MellaError: when the dataset is not sound, its card was edited by hand, or another process changes the folder
            (nothing is sent then), or the Hub refuses.
    """
    from huggingface_hub import HfApi

    folder = Path(folder)
    if not REPO.fullmatch(repo):
        raise MellaError(f"{repo!r} does not name a dataset repo; give ORGANISATION/NAME, such as 'org/mella'.")
    is_writable = os.access(folder, os.W_OK)
    with sole_use(folder / LOCK, folder, "mella publish") if is_writable else nullcontext():
        require_online(repo, "publish to")
        if is_writable:
            _write_card(folder, repo, replace_card, say)
        if places_in(folder) or not _is_taken_down(folder):
            verify_dataset(
                folder, workers=workers, executor=executor, progress=progress, card=is_writable
            ).require_sound()
        api = HfApi(endpoint=endpoint, token=token)

        def send() -> PublishReport:
            return _send(api, folder, repo, remove, create_pr=create_pr, replace_card=replace_card, dry_run=dry_run)

        with hub_errors(repo, "publish to"):
            if not dry_run:
                retried(lambda: _prepare_repo(api, repo, private, gated), say, wait)
            if private and retried(lambda: _is_public(api, repo), say, wait):
                say(f"{repo} is public already and stays public; make it private on its settings page.")
            return retried(send, say, wait)


def _write_card(folder: Path, repo: str, replace_card: bool, say: Callable[[str], None]) -> None:
    """Finish a removal, and write the card anew. Raises MellaError when a person has edited it."""
    complete_removal(folder)
    if not places_in(folder) and _is_taken_down(folder):
        return
    if (folder / FACTS).exists() and is_edited(folder) and not replace_card:
        raise MellaError(
            f"{folder / 'README.md'} was edited by hand, and publishing writes it anew. Move what you want to keep "
            f"into 'origin' of {CARD}, and publish with --replace-card."
        )
    write_thumbnails(folder)
    edited = keep_edited_card(folder)
    if edited:
        say(edited_notice(edited))
    write_card(folder, repo=repo)


def _is_taken_down(folder: Path) -> bool:
    """Whether a removal has emptied a split of the folder."""
    return any(record.get("emptied") for record in read_records(folder))


def _send(
    api: "HfApi",
    folder: Path,
    repo: str,
    remove: Sequence[str],
    *,
    create_pr: bool,
    replace_card: bool,
    dry_run: bool,
) -> PublishReport:
    """Compare the folder with the repo as it is now, and commit the difference."""
    head, remote = remote_files(api, repo, missing_ok=dry_run)
    hub = HubFiles(repo, head, api.endpoint, api.token if isinstance(api.token, str) else None)
    kept, gone = kept_places(folder, remote, remove)
    check_disjoint(folder, hub, remote, kept)
    card = merged_files(folder, repo, hub, remote, kept)
    if not replace_card:
        _require_own_card(hub, remote, repo)
    report = compare(repo, {**local_files(folder), **card}, remote, gone)
    report.kept = kept
    problems = published_name_problems({*report.add, *remote} - {*report.delete})
    if problems:
        raise MellaError(
            f"{repo} would hold names that are unsafe: {problems[0]}. Nothing was sent; rename or delete it first."
        )
    if (report.add or report.delete) and not dry_run:
        report.url = _commit(api, {**local_files(folder), **card}, report, head, create_pr)
    return report


def local_files(folder: Path) -> dict[str, Path]:
    """The files of a folder that are published, by their path in the repo: shards, card and record of removals."""
    paths = [path for name in (*_CARD, REMOVALS, f"{THUMBNAILS}/*.jpg") for path in sorted(folder.glob(name))]
    paths += all_shards(folder)
    return {path.relative_to(folder).as_posix(): path for path in paths}


def remote_files(api: "HfApi", repo: str, *, missing_ok: bool = False) -> tuple[str | None, Remote]:
    """(commit, its files) of a repo's main branch: sha256 (large files) or git blob id (small ones), and bytes."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.dataset_info(repo, files_metadata=True)
    except RepositoryNotFoundError:
        if missing_ok:
            return None, {}
        raise
    files = info.siblings or []
    return info.sha, {f.rfilename: (f.lfs.sha256 if f.lfs else str(f.blob_id), f.size or 0) for f in files}


def compare(repo: str, files: dict[str, Path | bytes], remote: Remote, gone: Sequence[str] = ()) -> PublishReport:
    """Compare the files to publish with those of a repo. Files of the repo that are not the dataset's stay.

    Args:
        gone: splits to delete, as "language/split".
    """
    report = PublishReport(repo)
    for name, content in files.items():
        if name in remote and remote[name][0] in _names(content):
            report.unchanged += 1
        else:
            report.add[name] = len(content) if isinstance(content, bytes) else content.stat().st_size
    places = {*map(_place, files), *gone} - {""}
    others = sorted(remote.keys() - files.keys())
    report.delete = [name for name in others if _place(name) in places or name in _OWN]
    left = {_place(name).partition("/")[0] for name in [*files, *others] if name not in report.delete}
    report.delete += [name for name in others if _pictured(name) not in {None, *left}]
    return report


def _place(name: str) -> str:
    """The split to which a path in a repo belongs, such as "ar/know"; "" when it is not a shard."""
    match = SHARD.fullmatch(name)
    return f"{match['language']}/{match['split']}" if match else ""


def _pictured(name: str) -> str | None:
    """The language whose thumbnails a path holds, or None."""
    match = re.fullmatch(rf"{THUMBNAILS}/([\w-]+)\.jpg", name)
    return match[1] if match else None


def _names(content: Path | bytes) -> tuple[str, str]:
    """The sha256 of a file, and its git blob id: the Hub knows large files by the one, small ones by the other."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest(), git_oid(content)
    sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % content.stat().st_size, usedforsecurity=False)
    with open(content, "rb") as file:
        while chunk := file.read(1 << 20):
            sha256.update(chunk)
            git.update(chunk)
    return sha256.hexdigest(), git.hexdigest()


def _require_own_card(hub: HubFiles, remote: Remote, repo: str) -> None:
    """Raise MellaError when the card on the Hub is not the one that was published last."""
    if "README.md" not in remote or FACTS not in remote:
        return
    if json.loads(hub.read(FACTS))["readme"] != remote["README.md"][0]:
        raise MellaError(
            f"The card of {repo} was edited by hand. Move what you want to keep into 'origin' of {CARD}, "
            "and publish with --replace-card."
        )


def _is_public(api: "HfApi", repo: str) -> bool:
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return not api.dataset_info(repo).private
    except RepositoryNotFoundError:  # a dry run of a new one
        return False


def _prepare_repo(api: "HfApi", repo: str, private: bool, gated: bool) -> None:
    # None, not False: an organisation may make its repos private by default.
    api.create_repo(repo, repo_type="dataset", private=private or None, exist_ok=True)
    if gated:
        api.update_repo_settings(repo, repo_type="dataset", gated="auto")


def _commit(
    api: "HfApi", files: dict[str, Path | bytes], report: PublishReport, head: str | None, create_pr: bool
) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    operations: list[Any] = [CommitOperationDelete(name) for name in report.delete]
    operations += [CommitOperationAdd(name, files[name]) for name in report.add]
    info = api.create_commit(
        report.repo,
        operations,
        repo_type="dataset",
        commit_message=f"Publish {len(report.add)} files, remove {len(report.delete)}",
        create_pr=create_pr,
        parent_commit=head,  # the card joins what this commit holds
    )
    return info.pr_url or info.commit_url
