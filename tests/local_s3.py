"""An S3 on loopback for tests: buckets held in memory, listed in pages, read by ranges, with faults on demand.

A stand-in for the part of the S3 API that reads (HeadBucket, ListObjectsV2, HeadObject, GetObject with Range). It knows
one access key and does not check signatures. What it was asked is in `LocalS3.requests`.
"""

import hashlib
import re
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

KEY = "AKIATEST"


@dataclass
class Object:
    """A stored object."""

    data: bytes
    modified: float = field(default_factory=time.time)

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'


class LocalS3:
    """The server. Use as a context manager."""

    def __init__(self, page: int = 1000):
        self.page = page
        self.buckets: dict[str, dict[str, Object]] = {}
        self.public: set[str] = set()
        self.requests: list[tuple[str, str, str]] = []  # method, path, range
        self.faults: dict[str, tuple[int, int]] = {}  # pattern of "METHOD path" -> status, how often
        self.sent = 0  # bytes of objects
        self.delay = 0.0  # seconds before an object is sent
        self.under_way = self.most_under_way = 0  # objects that are asked for at the same time
        self.lock = threading.Lock()
        s3 = self

        class Handler(_Handler):
            store = s3

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "LocalS3":
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def environment(self, key: str = KEY) -> dict[str, str]:
        """What a client process needs in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "eu-test-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def put(self, bucket: str, key: str, data: bytes, modified: float | None = None) -> None:
        """Store an object."""
        self.buckets.setdefault(bucket, {})[key] = Object(data, modified or time.time())

    def put_tree(self, bucket: str, prefix: str, folder: Path) -> None:
        """Store the files of a folder."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.put(bucket, f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: LocalS3

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None, size: int = -1) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data) if size < 0 else size), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status: int, code: str) -> None:
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()
        self.answer(status, body, {"Content-Type": "application/xml"})

    def do_GET(self) -> None:
        store = self.store
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path).lstrip("/")
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        store.requests.append((self.command, path, self.headers.get("Range", "")))
        for pattern, (status, times) in list(store.faults.items()):
            if times and re.search(pattern, f"{self.command} {path}"):
                store.faults[pattern] = (status, times - 1)
                return self.refuse(status, "SlowDown" if status == 503 else "AccessDenied")
        bucket, _, key = path.partition("/")
        if bucket not in store.buckets:
            return self.refuse(404, "NoSuchBucket")
        if bucket not in store.public and f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
            known = "Authorization" in self.headers
            return self.refuse(403, "InvalidAccessKeyId" if known else "AccessDenied")
        if not key:
            return self.answer(200) if "list-type" not in query else self.list_objects(bucket, query)
        if key not in store.buckets[bucket]:
            return self.refuse(404, "NoSuchKey")
        with store.lock:
            store.under_way += 1
            store.most_under_way = max(store.most_under_way, store.under_way)
        time.sleep(store.delay)
        with store.lock:
            store.under_way -= 1
        self.send_object(store.buckets[bucket][key])

    do_HEAD = do_GET

    def send_object(self, found: Object) -> None:
        headers = {
            "ETag": found.etag,
            "Last-Modified": formatdate(found.modified, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Type": "binary/octet-stream",
        }
        data, status = found.data, 200
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(match[1]), min(int(match[2] or len(data)) + 1, len(data))
            if start >= len(data):
                return self.refuse(416, "InvalidRange")
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(found.data)}"
            data, status = data[start:end], 206
        if self.command == "GET":
            self.store.sent += len(data)
        self.answer(status, data, headers)

    def list_objects(self, bucket: str, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        start = query.get("continuation-token") or query.get("start-after", "")
        limit = min(int(query.get("max-keys", 1000)), self.store.page)
        entries: dict[str, Object | None] = {}  # key, or common prefix -> None
        for key in sorted(key for key in self.store.buckets[bucket] if key.startswith(prefix)):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            name = key[: cut + len(delimiter)] if cut >= 0 else key
            if name > start:
                entries[name] = None if cut >= 0 else self.store.buckets[bucket][key]
        chosen = list(entries.items())[:limit]
        more = len(entries) > limit
        quote = urllib.parse.quote if query.get("encoding-type") == "url" else escape
        parts = [f"<Name>{bucket}</Name><Prefix>{quote(prefix)}</Prefix><KeyCount>{len(chosen)}</KeyCount>"]
        parts.append(f"<MaxKeys>{limit}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>")
        if query.get("encoding-type") == "url":
            parts.append("<EncodingType>url</EncodingType>")
        if more:
            parts.append(f"<NextContinuationToken>{escape(chosen[-1][0])}</NextContinuationToken>")
        for name, found in chosen:
            if found is None:
                parts.append(f"<CommonPrefixes><Prefix>{quote(name)}</Prefix></CommonPrefixes>")
            else:
                day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(found.modified))
                stamp = f"{day}.{int(found.modified % 1 * 1000):03d}Z"
                parts.append(
                    f"<Contents><Key>{quote(name)}</Key><LastModified>{stamp}</LastModified>"
                    f"<ETag>{escape(found.etag)}</ETag><Size>{len(found.data)}</Size></Contents>"
                )
        body = "".join(parts)
        xmlns = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        self.answer(
            200,
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult {xmlns}>{body}</ListBucketResult>'.encode(),
            {"Content-Type": "application/xml"},
        )
