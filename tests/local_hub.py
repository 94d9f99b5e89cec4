"""A Hub on loopback for tests: repos, commits, pull requests, LFS or Xet storage, tokens, and faults on demand.

`huggingface_hub` reads its endpoint when it is imported, so clients run in processes of their own, with
`LocalHub.environment()`. What the server was asked is in `LocalHub.requests`. Dataset repos are kept by their name,
model repos as `models/ORGANISATION/NAME`.
"""

import base64
import hashlib
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

WRITE_TOKEN, READ_TOKEN = "hf_test_write", "hf_test_read"
LFS_SUFFIXES = (".parquet", ".jpg", ".png", ".safetensors")


@dataclass(frozen=True)
class Blob:
    """A file of a commit: where its content is, and under which names clients know it."""

    sha256: str
    size: int
    git_oid: str
    lfs: bool
    xet: str | None = None

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_oid


@dataclass
class Repo:
    """A repo's history: every commit is the whole tree."""

    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    private: bool = False
    gated: Any = False
    pull_requests: int = 0

    def commit(self, ref: str, files: dict[str, Blob], title: str) -> str:
        content = json.dumps(
            [self.refs.get(ref), title, len(self.titles), sorted((p, b.etag) for p, b in files.items())]
        )
        sha = hashlib.sha1(content.encode()).hexdigest()
        self.commits[sha] = files
        self.refs[ref] = sha
        self.titles.append(title)
        return sha


@dataclass
class Fault:
    """Answer `status`, or nothing when it is 0, to the next `times` requests that match."""

    pattern: str
    status: int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    page: bytes = b""  # HTML to answer with, as the login page of a hotel's network does


class LocalHub:
    """The server. Use as a context manager."""

    def __init__(self, folder: Path, *, xet: bool = False):
        self.blobs = folder / "blobs"
        self.blobs.mkdir(parents=True)
        self.xet = f"local://{folder / 'cas'}" if xet else None
        self.repos: dict[str, Repo] = {}
        self.requests: list[str] = []
        self.uploaded: list[str] = []  # sha256 of every LFS object that was sent
        self.faults: list[Fault] = []
        self.room: int | None = None  # so many LFS uploads are taken; the others get no answer
        self.full = threading.Event()  # set when a client waits for an answer that does not come
        self.lock = threading.RLock()
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "LocalHub":
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def environment(self, home: Path, token: str | None = WRITE_TOKEN) -> dict[str, str]:
        """What a client process needs in its environment."""
        settings = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_ETAG_TIMEOUT": "600",  # seconds; 10 are few for a busy machine
            "HF_HUB_DOWNLOAD_TIMEOUT": "600",
            "HF_HUB_DISABLE_XET": "0" if self.xet else "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        return settings | ({"HF_TOKEN": token} if token else {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"})

    def fail(self, pattern: str, status: int, times: int = 1, page: bytes = b"", **headers: str) -> None:
        """Make the next requests whose "METHOD /path" matches fail."""
        self.faults.append(Fault(pattern, status, times, {k.replace("_", "-"): v for k, v in headers.items()}, page))

    def files(self, repo: str, ref: str = "main") -> dict[str, bytes]:
        """The files of a branch or pull request."""
        found = self.repos[repo]
        return {path: self.read(blob) for path, blob in found.commits[found.refs[ref]].items()}

    def add(self, repo: str, folder: Path, ref: str = "main", **settings: Any) -> str:
        """Commit a folder's files to a repo, which is made where it is not there: the commit's name."""
        with self.lock:
            found = self.repos.setdefault(repo, Repo(**settings))
            files = dict(found.commits.get(found.refs.get(ref, found.refs.get("main", "")), {}))
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                data = path.read_bytes()
                lfs = path.name.endswith(LFS_SUFFIXES)
                blob = Blob(self.store(data), len(data), _git_oid(data), lfs=lfs)
                files[str(path.relative_to(folder))] = blob
            return found.commit(ref, files, f"add {folder.name}")

    def store(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return digest

    def read(self, blob: Blob) -> bytes:
        path = self.blobs / blob.sha256
        if not path.exists() and blob.xet:
            _fetch_from_xet(self.endpoint, blob, path)
        return path.read_bytes()

    def counted(self, pattern: str) -> int:
        """How many requests matched."""
        return sum(bool(re.search(pattern, request)) for request in self.requests)


def _git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _fetch_from_xet(endpoint: str, blob: Blob, path: Path) -> None:
    import hf_xet

    session = hf_xet.XetSession()
    with session.new_file_download_group(token_refresh_url=f"{endpoint}/xet-token") as group:
        group.start_download_file(hf_xet.XetFileInfo(blob.xet, blob.size), str(path))


def _xet_files(cas: str) -> Iterator[tuple[str, str]]:
    """(sha256, xet hash) of the files in a local content-addressed store, from its shard files.

    A shard is a 48-byte header, then per file an entry of 48-byte records: hash and flags, segments,
    and, when flags bit 31 says so, verification records, when bit 30 does, the sha256.
    """

    def hexadecimal(digest: bytes) -> str:
        return "".join(f"{int.from_bytes(digest[i : i + 8], 'little'):016x}" for i in range(0, 32, 8))

    for path in Path(cas.removeprefix("local://")).rglob("*.mdb"):
        data, place = path.read_bytes(), 48
        while data[place : place + 32] != b"\xff" * 32:
            name = data[place : place + 32]
            flags, segments = (int.from_bytes(data[place + i : place + i + 4], "little") for i in (32, 36))
            place += 48 * (1 + segments * (2 if flags >> 31 & 1 else 1))
            if flags >> 30 & 1:
                yield hexadecimal(data[place : place + 32]), hexadecimal(name)
                place += 48


class _Handler(BaseHTTPRequestHandler):
    """The routes that huggingface_hub 2.4 and datasets 5.2 use for datasets."""

    protocol_version = "HTTP/1.1"
    server_hub: LocalHub

    def log_message(self, *args: Any) -> None:
        pass

    def answer(
        self, status: int, content: Any = None, headers: dict[str, str] | None = None, data: bytes = b""
    ) -> None:
        payload = json.dumps(content).encode() if content is not None else data
        self.send_response(status)
        for name, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(payload))} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)

    def refuse(self, status: int, code: str, message: str = "") -> None:
        self.answer(status, {"error": message or code}, {"X-Error-Code": code, "X-Error-Message": message or code})

    def leave_waiting(self) -> None:
        """No answer, until the client goes away."""
        self.server_hub.full.set()
        self.rfile.read(1)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def handle_request(self) -> None:
        hub, body = self.server_hub, self.body()
        request = f"{self.command} {self.path}"
        with hub.lock:
            hub.requests.append(request)
            fault = next((f for f in hub.faults if f.times and re.search(f.pattern, request)), None)
            if fault:
                fault.times -= 1
        if fault and not fault.status:
            return self.leave_waiting()
        if fault and fault.page:
            return self.answer(fault.status, None, {"Content-Type": "text/html"} | fault.headers, fault.page)
        if fault:
            return self.answer(fault.status, {"error": "fault"}, fault.headers)
        url = urllib.parse.urlsplit(self.path)
        path = _with_kind(urllib.parse.unquote(url.path))
        query = dict(urllib.parse.parse_qsl(url.query))
        for pattern, method in _ROUTES:
            if match := re.fullmatch(pattern, request.split(" ")[0] + " " + path):
                return getattr(self, method)(query, body, **match.groupdict())
        self.refuse(404, "NotFound", f"no route {request}")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    def page(self, repo: str) -> str:
        """A repo's address."""
        return f"{self.server_hub.endpoint}/" + (
            repo.removeprefix("models/") if "models/" in repo else f"datasets/{repo}"
        )

    def token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def may_write(self) -> bool:
        if self.token() == WRITE_TOKEN:
            return True
        if self.token() == READ_TOKEN:
            self.refuse(403, "Forbidden", "Forbidden: you don't have the rights to write")
        else:
            self.refuse(401, "Unauthorized", "Invalid username or password.")
        return False

    def find(self, repo: str, *, content: bool = False) -> Repo | None:
        found = self.server_hub.repos.get(repo)
        if self.token() not in (None, WRITE_TOKEN, READ_TOKEN):
            self.refuse(401, "Unauthorized", "Invalid username or password.")
        elif found is None or (found.private and self.token() is None):
            self.refuse(404 if self.token() else 401, "RepoNotFound", "Repository not found")
        elif content and found.gated and self.token() != WRITE_TOKEN:
            self.refuse(403 if self.token() else 401, "GatedRepo", f"Access to dataset {repo} is restricted.")
        else:
            return found
        return None

    def whoami(self, query: dict, body: bytes) -> None:
        if self.token() not in (WRITE_TOKEN, READ_TOKEN):
            return self.refuse(401, "Unauthorized", "Invalid username or password.")
        self.answer(
            200, {"type": "user", "name": "tester", "fullname": "tester", "orgs": [], "auth": {"type": "access_token"}}
        )

    def create(self, query: dict, body: bytes) -> None:
        if not self.may_write():
            return
        wanted = json.loads(body)
        name = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        name = name if wanted.get("type") == "dataset" else f"models/{name}"
        url = self.page(name)
        with self.server_hub.lock:
            if name in self.server_hub.repos:
                return self.answer(409, {"error": "You already created this repo", "url": url})
            private = wanted.get("visibility") == "private" or wanted.get("private", False)  # by older clients
            repo = self.server_hub.repos[name] = Repo(private=private)
            data = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"
            attributes = Blob(self.server_hub.store(data), len(data), _git_oid(data), lfs=False)
            repo.commit("main", {".gitattributes": attributes}, "initial commit")
        self.answer(200, {"url": url, "name": name, "id": "1"})

    def settings(self, query: dict, body: bytes, repo: str) -> None:
        if self.may_write() and (found := self.find(repo)):
            wanted = json.loads(body)
            found.gated = wanted.get("gated", found.gated)
            found.private = wanted.get("private", found.private)
            self.answer(200, {})

    def validate(self, query: dict, body: bytes) -> None:
        self.answer(200, {"errors": [], "warnings": []})

    def info(self, query: dict, body: bytes, repo: str, revision: str | None = None) -> None:
        if not (found := self.find(repo)) or not (sha := self.commit_of(found, revision)):
            return
        siblings = []
        for path, blob in sorted(found.commits[sha].items()):
            entry: dict[str, Any] = {"rfilename": path}
            if query.get("blobs"):
                entry |= {"size": blob.size, "blobId": blob.git_oid}
                entry |= {"lfs": {"sha256": blob.sha256, "size": blob.size, "pointerSize": 130}} if blob.lfs else {}
            siblings.append(entry)
        self.answer(
            200,
            {"_id": "1", "id": repo.removeprefix("models/"), "author": repo.split("/")[-2], "sha": sha,
             "private": found.private, "gated": found.gated, "disabled": False, "tags": [], "downloads": 0, "likes": 0,
             "siblings": siblings, "lastModified": "2026-01-01T00:00:00.000Z",
             "createdAt": "2026-01-01T00:00:00.000Z"},
        )  # fmt: skip

    def commit_of(self, repo: Repo, revision: str | None) -> str | None:
        sha = repo.refs.get(revision or "main") or (revision if revision in repo.commits else None)
        if sha is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha

    def entry(self, path: str, blob: Blob) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "file", "oid": blob.git_oid, "size": blob.size, "path": path}
        if blob.lfs:
            found["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": 130}
        return found | ({"xetHash": blob.xet} if blob.xet else {})

    def tree(self, query: dict, body: bytes, repo: str, revision: str, path: str | None = None) -> None:
        if not (found := self.find(repo)) or not (sha := self.commit_of(found, revision)):
            return
        files, prefix = found.commits[sha], f"{path}/" if path else ""
        below = [name for name in sorted(files) if name.startswith(prefix)]
        if path and not below:
            return self.refuse(404, "EntryNotFound", path)
        recursive = query.get("recursive", "").lower() in ("true", "1")
        folders = {f"{prefix}{n[len(prefix) :].split('/')[0]}" for n in below if "/" in n[len(prefix) :]}
        listing = [{"type": "directory", "oid": _git_oid(f.encode()), "size": 0, "path": f} for f in sorted(folders)]
        listing += [self.entry(n, files[n]) for n in below if recursive or "/" not in n[len(prefix) :]]
        self.answer(200, listing)

    def paths_info(self, query: dict, body: bytes, repo: str, revision: str) -> None:
        if not (found := self.find(repo)) or not (sha := self.commit_of(found, revision)):
            return
        wanted = json.loads(body) if body[:1] == b"{" else urllib.parse.parse_qs(body.decode())
        paths = wanted.get("paths", [])
        files, listing = found.commits[sha], []
        for path in [paths] if isinstance(paths, str) else paths:
            if path in files:
                listing.append(self.entry(path, files[path]))
            elif any(name.startswith(f"{path}/") for name in files):
                listing.append({"type": "directory", "oid": _git_oid(path.encode()), "size": 0, "path": path})
        self.answer(200, listing)

    def refs(self, query: dict, body: bytes, repo: str) -> None:
        if found := self.find(repo):
            branches = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": s} for n, s in found.refs.items()]
            self.answer(200, {"branches": [b for b in branches if "/" not in b["name"]], "tags": [], "converts": []})

    def preupload(self, query: dict, body: bytes, repo: str, revision: str) -> None:
        if not self.may_write() or not (found := self.find(repo)) or not (sha := self.commit_of(found, revision)):
            return
        listing = []
        for file in json.loads(body)["files"]:
            mode = "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular"
            known = found.commits[sha].get(file["path"])
            listing.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False})
            listing[-1] |= {"oid": known.etag} if known else {}
        self.answer(200, {"files": listing, "commitOid": sha})

    def lfs_batch(self, query: dict, body: bytes, repo: str) -> None:
        if not self.may_write():
            return
        objects = []
        for wanted in json.loads(body)["objects"]:
            found = {"oid": wanted["oid"], "size": wanted["size"]}
            if not (self.server_hub.blobs / wanted["oid"]).exists():
                href = f"{self.server_hub.endpoint}/lfs/{wanted['oid']}"
                found["actions"] = {
                    "upload": {"href": href},
                    "verify": {"href": f"{self.server_hub.endpoint}/lfs-verify"},
                }
            objects.append(found)
        self.answer(200, {"transfer": "basic", "objects": objects})

    def lfs_put(self, query: dict, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            return self.refuse(400, "BadOid")
        hub = self.server_hub
        with hub.lock:
            if taken := hub.room is None or len(hub.uploaded) < hub.room:
                hub.store(body)
                hub.uploaded.append(oid)
        if taken:
            self.answer(200, {})
        else:
            self.leave_waiting()

    def lfs_verify(self, query: dict, body: bytes) -> None:
        self.answer(200, {})

    def xet_token(self, query: dict, body: bytes, **where: str) -> None:
        expires = int(time.time()) + 3600
        cas = self.server_hub.xet or ""
        headers = {"X-Xet-Cas-Url": cas, "X-Xet-Access-Token": "t", "X-Xet-Token-Expiration": str(expires)}
        self.answer(200, {"casUrl": cas, "accessToken": "t", "exp": expires}, headers)

    def commit(self, query: dict, body: bytes, repo: str, revision: str) -> None:
        if not self.may_write() or not (found := self.find(repo)) or not (sha := self.commit_of(found, revision)):
            return
        operations = [json.loads(line) for line in body.splitlines() if line.strip()]
        header = next(op["value"] for op in operations if op["key"] == "header")
        with self.server_hub.lock:
            if header.get("parentCommit") not in (None, found.refs.get(revision)):
                return self.refuse(412, "PreconditionFailed", "A commit has happened since")
            files = dict(found.commits[sha])
            for operation in operations:
                if (problem := self.apply(files, operation["key"], operation["value"])) is not None:
                    return self.refuse(400, problem)
            ref = revision
            if query.get("create_pr"):
                found.pull_requests += 1
                ref = f"refs/pr/{found.pull_requests}"
            new = found.commit(ref, files, header["summary"])
        url = self.page(repo)
        request = f"{url}/discussions/{found.pull_requests}" if query.get("create_pr") else None
        self.answer(
            200, {"success": True, "commitOid": new, "commitUrl": f"{url}/commit/{new}", "pullRequestUrl": request}
        )

    def apply(self, files: dict[str, Blob], key: str, value: dict[str, Any]) -> str | None:
        hub = self.server_hub
        if key == "file":
            data = base64.b64decode(value["content"])
            files[value["path"]] = Blob(hub.store(data), len(data), _git_oid(data), lfs=False)
        elif key == "lfsFile":
            oid = value["oid"]
            blob = Blob(oid, value.get("size") or 0, _git_oid(oid.encode()), lfs=True)
            if not (hub.blobs / oid).exists():
                known = dict(_xet_files(hub.xet)) if hub.xet else {}
                if oid not in known:
                    return f"LfsMissing {oid}"
                blob = replace(blob, xet=known[oid])
            files[value["path"]] = blob
        elif key == "deletedFile":
            if files.pop(value["path"], None) is None:
                return f"EntryNotFound {value['path']}"
        elif key == "deletedFolder":
            for name in [n for n in files if n.startswith(value["path"].rstrip("/") + "/")]:
                del files[name]
        return None

    def resolve(self, query: dict, body: bytes, repo: str, revision: str, path: str) -> None:
        if not (found := self.find(repo, content=True)) or not (sha := self.commit_of(found, revision)):
            return
        blob = found.commits[sha].get(path)
        if blob is None:
            return self.answer(
                404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha}
            )
        headers = {"X-Repo-Commit": sha, "ETag": f'"{blob.etag}"', "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "application/octet-stream"
        if blob.lfs:
            headers |= {"X-Linked-Size": str(blob.size), "X-Linked-ETag": f'"{blob.sha256}"'}
        if blob.xet:
            refresh = f"{self.server_hub.endpoint}/api/datasets/{repo}/xet-read-token/{sha}"
            headers |= {"X-Xet-Hash": blob.xet, "X-Xet-Refresh-Route": refresh}
        data = self.server_hub.read(blob)
        if match := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or ""):
            low = int(match[1]) if match[1] else max(0, len(data) - int(match[2]))
            high = min(int(match[2]), len(data) - 1) if match[1] and match[2] else len(data) - 1
            if low >= len(data):
                return self.answer(416, {}, {"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {low}-{high}/{len(data)}"
            return self.answer(206, None, headers | {"Content-Length": str(high - low + 1)}, data[low : high + 1])
        self.answer(200, None, headers | {"Content-Length": str(len(data))}, data)


def _with_kind(path: str) -> str:
    """The path of a model repo as that of a dataset repo called models/ORGANISATION/NAME; others as they are."""
    path = re.sub(r"^/api/models/", "/api/datasets/models/", path)
    return re.sub(r"^/([\w.-]+/[\w.-]+)(/resolve/|\.git/)", r"/datasets/models/\1\2", path)


_REPO = r"(?P<repo>(?:models/)?[\w.-]+/[\w.-]+)"
_REF = r"(?P<revision>refs/pr/\d+|[^/]+)"
_ROUTES = [
    (r"GET /api/whoami-v2", "whoami"),
    (r"POST /api/repos/create", "create"),
    (r"POST /api/validate-yaml", "validate"),
    (rf"PUT /api/datasets/{_REPO}/settings", "settings"),
    (rf"GET /api/datasets/{_REPO}", "info"),
    (rf"GET /api/datasets/{_REPO}/revision/{_REF}", "info"),
    (rf"GET /api/datasets/{_REPO}/tree/{_REF}(?:/(?P<path>.*))?", "tree"),
    (rf"POST /api/datasets/{_REPO}/paths-info/{_REF}", "paths_info"),
    (rf"GET /api/datasets/{_REPO}/refs", "refs"),
    (rf"POST /api/datasets/{_REPO}/preupload/{_REF}", "preupload"),
    (rf"POST /api/datasets/{_REPO}/commit/{_REF}", "commit"),
    (rf"GET /api/datasets/{_REPO}/xet-(?:read|write)-token/{_REF}", "xet_token"),
    (r"GET /xet-token", "xet_token"),
    (rf"POST /datasets/{_REPO}\.git/info/lfs/objects/batch", "lfs_batch"),
    (r"PUT /lfs/(?P<oid>[0-9a-f]{64})", "lfs_put"),
    (r"POST /lfs-verify", "lfs_verify"),
    (rf"(?:GET|HEAD) /datasets/{_REPO}/resolve/{_REF}/(?P<path>.+)", "resolve"),
]
