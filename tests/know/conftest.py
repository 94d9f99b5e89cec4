"""Real pages with native alt-texts: manuals from Debian packages, fetched once, on a real server on loopback."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from debian_packages import debian_package

HELP = (
    "libreoffice-help-cs",
    "libreoffice-help-hu",
    "libreoffice-help-ko",
    "libreoffice-help-ru",
    "libreoffice-help-vi",
)


@pytest.fixture(scope="session")
def handbook() -> Path:
    """The Debian Administrator's Handbook: a folder of XHTML pages for each language, in ar-MA, cs-CZ, ..."""
    return debian_package("debian-handbook") / "usr/share/doc/debian-handbook/html"


@pytest.fixture(scope="session")
def helps() -> dict[str, Path]:
    """package -> folder of LibreOffice's help, of which `text` has the pages; the common one has most images."""
    names = (*HELP, "libreoffice-help-common")
    return {name: debian_package(name) / "usr/share/libreoffice/help" for name in names}


@pytest.fixture(scope="session")
def wesnoth() -> Path:
    """The folder of Wesnoth's manual in several languages."""
    return debian_package("wesnoth-1.16-data") / "usr/share/doc/wesnoth-1.16-data"


class FoldersHandler(SimpleHTTPRequestHandler):
    """Serves /NAME/... from the first of NAME's folders that has the file."""

    def __init__(self, *args, folders: dict[str, list[Path]], **kwargs):
        self.folders = folders
        super().__init__(*args, **kwargs)

    def translate_path(self, path: str) -> str:
        name, _, rest = unquote(urlsplit(path).path).lstrip("/").partition("/")
        places = [folder / rest for folder in self.folders.get(name, [])]
        found = next((place for place in places if place.is_file() and ".." not in rest), None)
        return str(found or "/nonexistent")

    def log_message(self, *args) -> None:
        """The test's output stays readable."""


@pytest.fixture
def serve() -> Iterator:
    """serve({name: [folders]}) -> the base URL of a server on loopback."""
    servers = []

    def start(folders: dict[str, list[Path]]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(FoldersHandler, folders=folders))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
