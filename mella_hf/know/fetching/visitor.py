"""Fetch a URL of a host: wait until the host may be asked, fetch, and write the result to the log.

A site's rules (robots.txt, its licences, tdmrep.json, ai.txt) are read before any other URL of it.
"""

import asyncio
import json
import random
import time
from dataclasses import replace

import aiohttp

from mella_hf.know.fetching.download import Check, Limits, Response, download, is_retryable, origin_of, redirect_target
from mella_hf.know.fetching.log import FetchLog
from mella_hf.know.fetching.robots import (
    MAX_AGE,
    MAX_LICENCES,
    MAX_ROBOTS_BYTES,
    MAX_ROBOTS_REDIRECTS,
    Policy,
    Rules,
    Unreadable,
    rules_text,
)
from mella_hf.know.fetching.robots_txt import licences_of
from mella_hf.know.fetching.schedule import Host, Schedule
from mella_hf.know.fetching.settings import FetchSettings
from mella_hf.know.links import absolute_url
from mella_hf.know.optouts import RSL
from mella_hf.retry import retry_after


class Visitor:
    """Requests to hosts, in one pass over a shard's URLs."""

    def __init__(self, session: aiohttp.ClientSession, schedule: Schedule, settings: FetchSettings, log: FetchLog):
        self._session = session
        self._schedule = schedule
        self._settings = settings
        self._log = log
        self._rule_limits = replace(settings.limits, max_bytes=MAX_ROBOTS_BYTES, cut=True)
        self._rules: dict[str, asyncio.Task[Rules]] = {}
        self._jitter = random.Random()

    async def rules_of(self, url: str, host: Host) -> Rules:
        """The rules of a URL's origin; asked for once a pass, and not again within a day."""
        origin = origin_of(url) or ""
        if origin not in self._rules:
            self._rules[origin] = asyncio.ensure_future(self._read_rules(origin, host))
        task = self._rules[origin]
        return task.result() if task.done() else await asyncio.shield(task)

    async def request(
        self,
        url: str,
        target: str,
        host: Host,
        *,
        limits: Limits,
        headers: dict[str, str],
        accept: Check,
        kinds: frozenset[str] | None,
    ) -> Response:
        """Ask for `target` on behalf of `url`, when the host's turn comes; a host that asks for patience gets it."""
        wait = self._schedule.start(host, time.monotonic())
        if wait > 0:
            await asyncio.sleep(wait)
        at, start = time.time(), time.monotonic()
        response = await download(self._session, target, limits, headers=headers, accept=accept, kinds=kinds)
        reason = "redirect" if response.is_redirect else response.reason
        self._log.attempt(url, target, response.status, reason, response.received, at, time.monotonic() - start)
        patience = retry_after(response.headers.get("Retry-After")) if response.reason is not None else None
        if patience:
            host.next_start = max(host.next_start, time.monotonic() + patience)
            self._log.wait_for(host.name, time.time() + patience)
        return response

    def backoff(self, failures: int) -> float:
        """Seconds to wait after so many failures of one URL: exponential, with full jitter."""
        most = min(self._settings.max_backoff, self._settings.backoff * 2 ** (failures - 1))
        return self._jitter.uniform(0, most)

    def is_hopeless(self, host: Host) -> bool:
        """Whether a host failed too often in a row, or asked for more patience than there is."""
        wait = host.next_start - time.monotonic() - self._settings.per_host * host.delay
        return host.failures >= self._settings.host_failures or wait > self._settings.max_delay

    async def _read_rules(self, origin: str, host: Host) -> Rules:
        now = time.time()
        policy = self._log.policy(origin, now - MAX_AGE)
        if policy is None:
            try:
                robots = await self._read_rule_file(f"{origin}/robots.txt", host)
                tdm = await self._read_rule_file(f"{origin}/.well-known/tdmrep.json", host)
                ai = await self._read_rule_file(f"{origin}/ai.txt", host)
                policy = Policy(robots, tdm, ai, json.dumps(await self._read_licences(robots, origin)))
            except Unreadable as error:
                return Rules(error)
            self._log.keep_policy(origin, policy, now)
        return Rules(policy)

    async def _read_licences(self, robots: str, origin: str) -> list[str]:
        """The licence files that a robots.txt names, wherever they lie. Raises Unreadable."""
        if self._settings.ignores(RSL):
            return []
        addresses = (absolute_url(origin + "/", named)[0] for named in licences_of(robots)[:MAX_LICENCES])
        try:
            return [
                await self._read_rule_file(address, self._schedule.host_of(address))
                for address in addresses
                if address is not None
            ]
        except Unreadable:
            raise Unreadable("rsl_unavailable") from None

    async def _read_rule_file(self, url: str, host: Host) -> str:
        """robots.txt, tdmrep.json and the like: its text, "" where there is none. Raises Unreadable."""
        target, failures, hops = url, 0, 0
        while not self.is_hopeless(host):
            response = await self.request(
                url, target, host, limits=self._rule_limits, headers={}, accept=lambda response: None, kinds=None
            )
            if response.is_redirect:
                hops += 1
                following = redirect_target(target, response.headers.get("Location"))
                if following is None or hops > MAX_ROBOTS_REDIRECTS:
                    return ""
                target = following
            elif is_retryable(response.reason):
                host.failures += 1
                failures = failures + 1
                if failures >= self._settings.attempts:
                    return rules_text(response)
                await asyncio.sleep(self.backoff(failures))
            else:
                host.failures = 0
                return rules_text(response)
        raise Unreadable("robots_unavailable")
