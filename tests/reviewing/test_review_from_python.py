"""`mella_hf.review` serves the page that `mella review` serves."""

import subprocess
import sys
from pathlib import Path

import requests
from ports import reserved_port


def test_the_link_that_is_said_opens_the_page(queue_folder: Path) -> None:
    with reserved_port() as port:
        code = f"import mella_hf; mella_hf.review({str(queue_folder)!r}, 'layla', port={port})"
        command = [sys.executable, "-u", "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                name, link = process.stdout.readline().split(maxsplit=1)  # type: ignore[union-attr]
                assert name == "layla:"
                page = requests.Session().get(link.strip(), timeout=60)  # a session: the page sets a cookie
                assert page.status_code == 200 and "<html" in page.text
            finally:
                process.terminate()
