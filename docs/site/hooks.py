"""Hooks of the site: notebooks become pages, and links into the repository are checked."""

import json
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
_OUTSIDE = re.compile(r"\[([^\]]*)\]\((\.\./[^)#\s]+)\)")
_DRAWING = re.compile(r"```mermaid\n.*?```\n", re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook."""
    for notebook in sorted(Path(config.docs_dir, "notebooks").glob("*.ipynb")):
        page = f"notebooks/{notebook.stem}.md"
        files.append(File.generated(config, page, content=notebook_page(notebook)))
    return files


def notebook_page(path: Path) -> str:
    """A notebook's cells as Markdown."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    parts = []
    for cell in cells:
        text = "".join(cell["source"])
        parts.append(text.replace(".ipynb)", ".md)") if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    parts.append(f"This page is the notebook `docs/notebooks/{path.name}`; the tests run it.")
    return "\n\n".join(parts) + "\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show links to files of the repository as plain text, once it is sure that they exist; leave drawings out.

    Mermaid would have to be fetched from another host. The table below a drawing has the same facts.

    Raises:
        PluginError: when such a file does not exist.
    """
    here = (Path(config.docs_dir) / page.file.src_uri).parent

    def plain(link: re.Match[str]) -> str:
        target = (here / link[2]).resolve()
        if target.is_relative_to(Path(config.docs_dir)):
            return link[0]  # MkDocs checks these
        if not (target.is_relative_to(ROOT) and target.exists()):
            raise PluginError(f"{page.file.src_uri} links to {link[2]}, which does not exist.")
        return link[1]

    return _OUTSIDE.sub(plain, _DRAWING.sub("", markdown))
