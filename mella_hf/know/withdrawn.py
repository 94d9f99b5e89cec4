"""Before publishing, fetch the sites' rules again and find samples whose sites have opted out since.

Sites change their minds after a collection. Rule files are asked for (robots.txt, its licences, tdmrep.json, ai.txt)
of each image's site and of its page's, politely, as `mella collect` does. Headers and tags of single pages and images
are not: that would fetch them all again. What has since been withdrawn is listed in a file for `mella remove --ids`.
"""

import asyncio
import csv
import io
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from mella_hf.dataset.files import REPO, HubFiles, LocalFiles, split_paths
from mella_hf.errors import MellaError
from mella_hf.files import write_atomic
from mella_hf.know.fetching.crawl import Crawler
from mella_hf.know.fetching.download import Response
from mella_hf.know.fetching.log import FetchLog
from mella_hf.know.fetching.schedule import Host, Job
from mella_hf.know.fetching.settings import FetchSettings

RESERVED = "reserved_"


@dataclass
class Withdrawn:
    """The opt-outs that the sites of a dataset's samples declare today.

    Attributes:
        asked: how many samples have an address.
        without_address: how many have none.
        reasons: reason -> how many samples are withdrawn.
        unknown: reason -> how many samples are of sites whose rules could not be read; they are not listed.
        rows: (id, reason, address) of the withdrawn samples.
    """

    asked: int = 0
    without_address: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write the withdrawn samples as CSV, which `mella remove --ids` reads."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "reason", "url"])
        writer.writerows(self.rows)
        write_atomic(path, text.getvalue())


def ask_again(
    where: Path | str,
    settings: FetchSettings,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
) -> Withdrawn:
    """Ask the sites of a dataset folder, or of a repo on the Hub, what they say today.

    Args:
        settings: how to behave; the opt-outs that it ignores withdraw nothing.
        revision, endpoint, token: as for `mella_hf.dataset.verify.verify_dataset`.

    Raises:
        MellaError: when there is no dataset.
    """
    folder = Path(where).absolute()
    if not folder.is_dir() and (folder.exists() or not REPO.fullmatch(str(where))):
        raise MellaError(f"{str(where)!r} is neither a folder nor a dataset repo; give ORGANISATION/NAME.")
    files = LocalFiles(folder) if folder.is_dir() else HubFiles(str(where), revision, endpoint, token)
    found = Withdrawn()
    samples: list[tuple[str, str, str | None]] = []
    for sample, image, page in _addresses(files):
        if image is None and page is None:
            found.without_address += 1
        else:
            samples.append((sample, image or str(page), page if image else None))
    found.asked = len(samples)
    said = _reasons({url: page for _, url, page in samples}, settings)
    for sample, url, _ in samples:
        reason = said[url]
        if reason == "robots_disallow" or (reason or "").startswith(RESERVED):
            found.reasons[str(reason)] += 1
            found.rows.append((sample, str(reason), url))
        elif reason is not None:
            found.unknown[reason] += 1
    return found


def _addresses(files: LocalFiles | HubFiles) -> Iterator[tuple[str, str | None, str | None]]:
    """(id, image_url, page_url) of every sample."""
    for paths in split_paths(files.files()).values():
        for path in paths:
            with files.reading(), files.open(path) as file:
                table = pq.ParquetFile(file).read(columns=["id", "image_url", "page_url"])
            yield from zip(*(table[name].to_pylist() for name in ("id", "image_url", "page_url")), strict=True)


def _reasons(pages: dict[str, str | None], settings: FetchSettings) -> dict[str, str | None]:
    """URL -> why its site does not want it used; None where it does not object."""
    with tempfile.TemporaryDirectory() as folder:
        log = FetchLog(Path(folder) / "rules.sqlite")
        try:
            referrers = {url: page for url, page in pages.items() if page is not None}
            asyncio.run(_RuleReader(settings, log).crawl(pages, referrers=referrers))
            known = {url: log.known(url) for url in pages}
            return {url: one.reason if one is not None else "host_gave_up" for url, one in known.items()}
        finally:
            log.close()


class _RuleReader(Crawler):
    """A crawler that asks for the rules of a URL's site and of its page's, and not for the URL."""

    async def _step(self, job: Job, host: Host) -> None:
        rules = await self._visitor.rules_of(job.target, host)
        reason = rules.refusal(job.target)
        page = self._referrers.get(job.url)
        if reason is None and page is not None:
            reason = (await self._visitor.rules_of(page, self._schedule.host_of(page))).refusal(page)
        if reason is None:
            honoured = [one for one in await self._opt_outs(job, rules) if not self._settings.ignores(one)]
            reason = f"{RESERVED}{honoured[0]}" if honoured else None
        self._finish(job, Response(reason))
