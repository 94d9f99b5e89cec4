"""Fetch a list of URLs; afterwards every URL has a result in the log.

One event loop: a dispatcher takes jobs from the schedule and runs each as a task. The outcome is a result, a redirect
to another host, or another try later.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import aiohttp
from aiohttp.abc import AbstractResolver

from mella_hf.know.fetching.addresses import make_connector
from mella_hf.know.fetching.download import Response, is_retryable, origin_of, redirect_target
from mella_hf.know.fetching.log import FetchLog, Known
from mella_hf.know.fetching.robots import Rules, response_opt_outs
from mella_hf.know.fetching.schedule import Host, Job, Schedule
from mella_hf.know.fetching.settings import IMAGE_KINDS, FetchSettings
from mella_hf.know.fetching.visitor import Visitor
from mella_hf.know.optouts import RSL, SIGNAL, TDM, USAGE

_ACCEPT_IMAGES = "image/webp,image/jpeg,image/png,image/gif;q=0.9,*/*;q=0.1"
_ACCEPT_PAGES = "text/html,application/xhtml+xml"
_DNS_THREADS = 32  # getaddrinfo blocks; a few dead name servers must not hold all lookups


class Crawler:
    """Fetches the URLs of one shard.

    Args:
        resolver: of host names; the system's by default.
    """

    def __init__(self, settings: FetchSettings, log: FetchLog, resolver: AbstractResolver | None = None):
        self._settings = settings
        self._log = log
        self._resolver = resolver
        self._refresh_before = min(settings.refresh_before, time.time())  # one request a run
        self._kinds = frozenset(settings.kinds)
        self._wants_images = not self._kinds.isdisjoint(IMAGE_KINDS)
        self._wake = asyncio.Event()
        self._active = 0
        self._known: dict[str, Known] = {}  # what the log says of URLs that are asked for again

    async def crawl(
        self,
        urls: Iterable[str],
        on_result: Callable[[], object] = lambda: None,
        referrers: Mapping[str, str] | None = None,
    ) -> None:
        """Give every URL a result in the log; `on_result` is called as each has its first.

        Args:
            referrers: URL of an image -> a page that shows it, whose site may have opted out too.
        """
        self._referrers = referrers or {}
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_DNS_THREADS, "dns"))
        self._on_result = on_result
        todo = [url for url in urls if self._is_open(url)]
        async with self._session() as session:
            for _ in range(self._settings.passes):
                await self._pass(session, todo)
                self._on_result = lambda: None
                todo = [url for url in todo if self._is_open(url)]
                if not todo:
                    break
        self._log.commit()

    def _session(self) -> aiohttp.ClientSession:
        settings = self._settings
        connector = make_connector(
            allow_private=settings.allow_private, resolver=self._resolver, limit=settings.concurrency
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=settings.limits.connect, sock_read=settings.limits.read
            ),
            headers={
                "User-Agent": settings.user_agent,
                "Accept": _ACCEPT_IMAGES if self._wants_images else _ACCEPT_PAGES,
                "Accept-Encoding": "identity" if self._wants_images else "gzip",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # decoded here, up to the cap
        )

    def _is_open(self, url: str) -> bool:
        """Whether a URL has to be asked for."""
        known = self._log.known(url)
        if known is None:
            return True
        is_old = known.reason is None and known.fetched_at < self._refresh_before
        if is_old or is_retryable(known.reason):
            self._known[url] = known
            return True
        self._on_result()
        return False

    async def _pass(self, session: aiohttp.ClientSession, urls: Iterable[str]) -> None:
        """Ask for every URL, as often as one pass allows."""
        self._schedule = Schedule(self._settings.per_host, self._settings.delay)
        self._visitor = Visitor(session, self._schedule, self._settings, self._log)
        now = time.time()
        for name, until in self._log.not_before().items():
            self._schedule.host(name).next_start = time.monotonic() + until - now
        for url in urls:
            self._add(Job(url, url))
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                found = self._schedule.take(time.monotonic()) if self._active < self._settings.concurrency else None
                if isinstance(found, Job):
                    self._active += 1
                    group.create_task(self._serve(found))
                    continue
                if found is None and not self._active:
                    return
                with suppress(TimeoutError):  # then a host is ready
                    async with asyncio.timeout(found):
                        await self._wake.wait()

    def _add(self, job: Job, ready_at: float = 0.0) -> None:
        """Let a job wait for its turn, unless its host has none to give."""
        if origin_of(job.target) is None:
            self._finish(job, Response("bad_url"))
        elif self._visitor.is_hopeless(self._schedule.host_of(job.target)):
            self._give_up(job)
        else:
            self._schedule.add(job, ready_at)

    async def _serve(self, job: Job) -> None:
        host = self._schedule.host_of(job.target)
        try:
            try:
                await self._step(job, host)
            except Exception as error:  # any: a stranger's answer may raise what nobody thought of, for one URL only
                self._finish(job, Response(f"fetch_error_{type(error).__name__}"))
            if self._visitor.is_hopeless(host):
                for waiting in self._schedule.drain(host):
                    self._give_up(waiting)
        finally:
            self._active -= 1
            self._schedule.finish(host)
            self._wake.set()

    async def _step(self, job: Job, host: Host) -> None:
        """One request of a job, and what follows from it."""
        rules = await self._visitor.rules_of(job.target, host)
        refusal = rules.refusal(job.target)
        if refusal is not None:
            self._finish(job, Response(refusal))
            return
        delay = max(self._settings.delay, rules.crawl_delay())
        if delay > self._settings.max_delay:
            self._finish(job, Response("crawl_delay_too_long"))
            return
        host.delay = max(host.delay, delay)
        unread = await self._unread_page_rules(job)
        if unread is not None:
            self._finish(job, Response(unread))
            return
        of_site = await self._opt_outs(job, rules)
        response = await self._visitor.request(
            job.url,
            job.target,
            host,
            limits=self._settings.limits,
            headers=self._conditions(job),
            accept=lambda response: self._accept(response, job, of_site),
            kinds=self._kinds,
        )
        self._judge(job, host, response)

    def _accept(self, response: Response, job: Job, of_site: list[str]) -> str | None:
        """Why a response must not be read, by its headers and its site's opt-outs."""
        tags = response.x_robots_tag if self._wants_images else ()  # what a page opts out of is for its reader
        signals = response_opt_outs(response.headers, tags, of_site)
        honoured = [signal for signal in signals if not self._settings.ignores(signal)]
        if honoured:
            return f"reserved_{honoured[0]}"
        if signals:
            response.overridden = f"reserved_{signals[0]}"
        return None

    async def _unread_page_rules(self, job: Job) -> str | None:
        """Why the rules of the site whose page shows an image cannot be read: what it says is unknown, so no fetch."""
        page = self._referrers.get(job.url)
        if page is None or origin_of(page) in (None, origin_of(job.target)):
            return None
        rules = await self._visitor.rules_of(page, self._schedule.host_of(page))
        return None if rules.closed is None else f"page_{rules.closed}"

    async def _opt_outs(self, job: Job, rules: Rules) -> list[str]:
        """The opt-outs of an image's site, and of the site whose page shows it."""
        found = rules.opt_outs(job.target)
        page = self._referrers.get(job.url)
        if page is None or origin_of(page) in (None, origin_of(job.target)):
            return found
        host = self._schedule.host_of(page)
        of_page = (await self._visitor.rules_of(page, host)).opt_outs(page)
        return list(dict.fromkeys(found + [signal for signal in of_page if signal in (TDM, USAGE, SIGNAL, RSL)]))

    def _judge(self, job: Job, host: Host, response: Response) -> None:
        """Finish a job, or send it on."""
        host.failures = host.failures + 1 if is_retryable(response.reason) else 0
        if response.is_redirect:
            self._redirect(job, response)
            return
        job.attempt += 1
        if is_retryable(response.reason) and job.attempt < self._settings.attempts:
            self._add(job, time.monotonic() + self._visitor.backoff(job.attempt))
        else:
            self._finish(job, response)

    def _redirect(self, job: Job, response: Response) -> None:
        target = redirect_target(job.target, response.headers.get("Location"))
        if target is None:
            self._finish(job, Response("bad_redirect", response.status))
        elif job.hops >= self._settings.max_redirects:
            self._finish(job, Response("too_many_redirects", response.status))
        else:
            self._add(Job(job.url, target, job.hops + 1))

    def _conditions(self, job: Job) -> dict[str, str]:
        """Headers that ask for a body only if it changed, where the log holds one."""
        known = self._known.get(job.url)
        if known is None or known.reason is not None:
            return {}
        if known.etag:
            return {"If-None-Match": known.etag}
        return {"If-Modified-Since": known.last_modified} if known.last_modified else {}

    def _give_up(self, job: Job) -> None:
        """Finish a job that was not tried in this pass, unless an earlier one says more about it."""
        if job.url not in self._known:
            self._finish(job, Response("host_gave_up"))
        else:
            self._on_result()

    def _finish(self, job: Job, response: Response) -> None:
        """Write the result of a job."""
        self._on_result()
        known = self._known.get(job.url)
        if known is not None and known.reason is None and (response.status == 304 or is_retryable(response.reason)):
            self._log.unchanged(job.url, time.time())  # a copy that could not be renewed is still a copy
            return
        headers = response.headers
        self._log.result(
            url=job.url,
            final_url=job.target,
            status=response.status,
            reason=response.reason,
            overridden=response.overridden,
            kind=response.kind,
            content_type=_text(headers.get("Content-Type")),
            content_language=_text(headers.get("Content-Language")),
            x_robots_tag=_text("\n".join(response.x_robots_tag)),
            etag=_text(headers.get("ETag")),
            last_modified=_text(headers.get("Last-Modified")),
            fetched_at=time.time(),
            body=None if response.reason else response.body,
        )


def _text(header: str | None) -> str | None:
    """A header's value; bytes that are no UTF-8, which aiohttp gives as surrogates and no file takes, become "?"."""
    return header.encode("utf-8", "replace").decode() if header else None
