"""Requests to take samples away, and the record of them that is published with a dataset."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypedDict, cast

import pyarrow as pa
import pyarrow.compute as pc

from mella_hf.errors import MellaError
from mella_hf.files import json_lines
from mella_hf.text.addresses import canonical_host, host_of, is_within, url_key

REMOVALS = "removals.jsonl"
_ID = re.compile(r"[0-9a-f]{64}")
ADDRESSES = ("domain", "page_url", "image_url")  # the columns that say where a row is from


class RemovalRecord(TypedDict, total=False):
    """A line of removals.jsonl: what was asked for, and when.

    Attributes:
        requested: the day, such as "2026-11-28".
        ids, urls, domain: of `Request`; only those that were named.
        emptied: "language/split" of which the request took the last row.
    """

    requested: str
    ids: list[str]
    urls: list[str]
    domain: str
    emptied: list[str]


@dataclass(frozen=True)
class Request:
    """What to take away.

    Attributes:
        ids: of samples.
        urls: addresses of pages or images, as `url_key` gives them.
        domains: canonical hosts; each means its subdomains too. `*.example.org` means the subdomains alone.
    """

    ids: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    @classmethod
    def of(cls, records: Iterable[RemovalRecord]) -> "Request":
        """All requests on record as one."""
        records = list(records)
        return cls(
            frozenset(name for record in records for name in record.get("ids", ())),
            frozenset(key for record in records for key in record.get("urls", ())),
            frozenset(record["domain"] for record in records if record.get("domain")),
        )

    def matches(self, rows: pa.Table) -> pa.Array:
        """Which rows the request is about: [N] booleans, never null.

        Args:
            rows: with the columns of `ADDRESSES`, and `id` where it matters.
        """
        found = pa.repeat(pa.scalar(False), len(rows))
        if self.ids and "id" in rows.column_names:
            found = pc.is_in(rows["id"], pa.array(sorted(self.ids), pa.string()))
        for name in ADDRESSES if self.domains else ():
            found = pc.or_(found, _where(rows[name], self._is_asked_away if name == "domain" else self._is_from))
        for name in ("page_url", "image_url") if self.urls else ():
            found = pc.or_(found, _where(rows[name], lambda url: url_key(url) in self.urls))
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

    def host(self, row: Mapping[str, Any]) -> str | None:
        """The host because of which a row is removed; None if it is removed for another reason."""
        hosts = [canonical_host(row["domain"] or ""), host_of(row["page_url"]), host_of(row["image_url"])]
        return next((host for host in hosts if host and self._is_asked_away(host)), None)

    def _is_asked_away(self, host: str) -> bool:
        host = canonical_host(host)
        return any(is_within(host, domain) for domain in self.domains)

    def _is_from(self, url: str) -> bool:
        host = host_of(url)
        return host is not None and self._is_asked_away(host)


def _where(column: pa.ChunkedArray, test: Callable[[str], bool]) -> pa.ChunkedArray:
    """Which values pass a test, asked once for each distinct value. Nulls do not."""
    passing = [value for value in pc.unique(column).to_pylist() if value is not None and test(value)]
    return pc.is_in(column, pa.array(passing, pa.string()))


def make_request(ids: Iterable[str] = (), urls: Iterable[str] = (), domain: str | None = None) -> Request:
    """A checked request. Raises MellaError."""
    wanted = frozenset(name.strip().lower() for name in ids if name.strip())
    wrong = sorted(name for name in wanted if not _ID.fullmatch(name))
    if wrong:
        raise MellaError(f"{wrong[0]!r} is not a sample id; give the 64 hex digits of the column 'id'.")
    addresses = [url for url in urls if url.strip()]
    for url in addresses:
        if host_of(url) is None:
            raise MellaError(
                f"{url!r} is not a URL of a page or an image; give one that begins with http:// or https://."
            )
    request = Request(wanted, frozenset(map(url_key, addresses)), _domains(domain))
    if request == Request():
        raise MellaError("Nothing to remove: give ids or a domain.")
    return request


def _domains(domain: str | None) -> frozenset[str]:
    if domain is None:
        return frozenset()
    name = domain.strip()
    star = "*." if name.startswith("*.") else ""
    host = canonical_host(name.removeprefix("*").lstrip("."))
    address = _ip_address(host)
    if address is not None:
        return frozenset([address])
    if not host or any(c in host for c in "/:*@?#\\") or any(map(str.isspace, host)) or ".." in host:
        better = host_of(name) or "example.org"
        raise MellaError(f"{domain!r} is not a domain; give a host such as {better!r}, without http://.")
    if "." not in host:
        raise MellaError(f"{domain!r} is not a domain of one owner; give the whole host, such as 'example.{host}'.")
    return frozenset([star + host])


def _ip_address(host: str) -> str | None:
    """An IP address as URLs have it, version 6 in brackets; None for a name."""
    try:
        found = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return f"[{found}]" if found.version == 6 else str(found)


def with_record(records: list[RemovalRecord], request: Request, emptied: Iterable[str] = ()) -> list[RemovalRecord]:
    """The record with a request on it, once.

    Args:
        emptied: "language/split" of which the request took the last row; the publisher takes them from the Hub.
    """
    new: RemovalRecord = {"requested": datetime.now(UTC).date().isoformat()}
    if request.ids:
        new["ids"] = sorted(request.ids)
    if request.urls:
        new["urls"] = sorted(request.urls)
    if request.domains:
        new["domain"] = next(iter(request.domains))
    same = [known for known in records if asked_for(known) == asked_for(new)]
    if same and not emptied:
        return records
    gone = sorted({*emptied, *(place for known in same for place in known.get("emptied", ()))})
    if gone:
        new["emptied"] = gone
    if not same:
        return [*records, new]
    new["requested"] = same[0]["requested"]
    return [new if known is same[0] else known for known in records]


def merge_records(ours: list[RemovalRecord], theirs: list[RemovalRecord]) -> list[RemovalRecord]:
    """Two records as one: theirs first, then those of ours that they have not."""
    known = [asked_for(record) for record in theirs]
    return theirs + [record for record in ours if asked_for(record) not in known]


def asked_for(record: RemovalRecord) -> RemovalRecord:
    """A record without what is not part of the request."""
    asked = {name: value for name, value in record.items() if name in ("ids", "urls", "domain")}
    return cast(RemovalRecord, asked)


def read_records(folder: Path | str) -> list[RemovalRecord]:
    """The requests on record, in order."""
    path = Path(folder) / REMOVALS
    return [cast(RemovalRecord, record) for _, record in json_lines(path)] if path.exists() else []


def parse_records(text: str) -> list[RemovalRecord]:
    """Requests from the text of `removals.jsonl`."""
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def records_text(records: Iterable[RemovalRecord]) -> str:
    """The text of `removals.jsonl`."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
