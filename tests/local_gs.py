"""A Google Cloud Storage on loopback for tests: the part of the JSON API that reads, without a check of credentials.

It runs in a process of its own (`python tests/local_gs.py FOLDER`, each folder in FOLDER is a bucket), since pyarrow
keeps Python waiting while it opens a file. Clients find it by `STORAGE_EMULATOR_HOST`. As in real buckets, folders are
nothing but parts of names.
"""

import hashlib
import json
import re
import subprocess
import sys
import threading
import time
import urllib.parse
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local_s3 import Object

PAGE = 7  # entries of an answer to a listing


@contextmanager
def local_gs(buckets: Path) -> Iterator[str]:
    """Serve the folders in a folder as buckets while the block runs; gives what STORAGE_EMULATOR_HOST must be."""
    command = [sys.executable, __file__, str(buckets)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None and server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.wait()
        server.stdout.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    buckets: dict[str, dict[str, Object]] = {}

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def answer_json(self, value: dict[str, Any], status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def refuse(self, status: int, said: str) -> None:
        self.answer_json({"error": {"code": status, "message": said, "errors": [{"reason": said}]}}, status)

    def handle(self) -> None:
        with suppress(ConnectionResetError):  # clients that end
            super().handle()

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        match = re.fullmatch(r"(?:/download)?/storage/v1/b/([^/]+)/o(?:/(.+))?", url.path)
        bucket, key = (urllib.parse.unquote(part or "") for part in match.groups()) if match else ("", "")
        if bucket == "private":
            return self.refuse(403, "Anonymous caller does not have storage.objects.list access.")
        if bucket not in self.buckets:
            return self.refuse(404, "The specified bucket does not exist.")
        if not key:
            return self.list_objects(bucket, query)
        if key not in self.buckets[bucket]:
            return self.refuse(404, f"No such object: {bucket}/{key}")
        found = self.buckets[bucket][key]
        if query.get("alt") != "media":
            return self.answer_json(self.resource(bucket, key, found))
        self.send_object(found)

    def send_object(self, found: Object) -> None:
        data, status, headers = found.data, 200, {"Content-Type": "application/octet-stream", "x-goog-generation": "1"}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(match[1]), min(int(match[2] or len(data)) + 1, len(data))
            if start >= len(data):
                return self.refuse(416, "requested range not satisfiable")
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
            data, status = data[start:end], 206
        self.answer(status, data, headers)

    def resource(self, bucket: str, key: str, found: Object) -> dict[str, Any]:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(found.modified))
        digest = hashlib.md5(found.data, usedforsecurity=False).digest()
        return {
            "kind": "storage#object", "bucket": bucket, "name": key, "size": str(len(found.data)), "generation": "1",
            "metageneration": "1", "updated": moment, "timeCreated": moment, "md5Hash": b64encode(digest).decode(),
        }  # fmt: skip

    def list_objects(self, bucket: str, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        entries: dict[str, Object | None] = {}  # key, or common prefix -> None
        for key in sorted(key for key in self.buckets[bucket] if key.startswith(prefix)):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            name = key[: cut + len(delimiter)] if cut >= 0 else key
            if name > query.get("pageToken", ""):
                entries[name] = None if cut >= 0 else self.buckets[bucket][key]
        chosen = dict(list(entries.items())[:PAGE])
        answer: dict[str, Any] = {
            "kind": "storage#objects",
            "items": [self.resource(bucket, name, found) for name, found in chosen.items() if found is not None],
            "prefixes": [name for name, found in chosen.items() if found is None],
        }
        if len(entries) > PAGE:
            answer["nextPageToken"] = list(chosen)[-1]
        self.answer_json(answer)


if __name__ == "__main__":
    for file in (path for path in Path(sys.argv[1]).rglob("*") if path.is_file()):
        bucket_name, _, object_name = file.relative_to(sys.argv[1]).as_posix().partition("/")
        _Handler.buckets.setdefault(bucket_name, {})[object_name] = Object(file.read_bytes(), file.stat().st_mtime)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{http.server_port}", flush=True)
    sys.stdin.read()
