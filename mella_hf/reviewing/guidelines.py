"""Render a project's guidelines for reviewers."""

from pathlib import Path

from mella_hf.errors import MellaError, MissingExtraError

MAX_BYTES = 200_000


def render_guidelines(path: Path | str) -> str:
    """Render a Markdown file (CommonMark) as HTML. Markup and images inside the file are shown as text.

    Raises:
        MellaError: when the file is missing, too large or not UTF-8.
        MissingExtraError: when markdown-it-py is not installed.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise MellaError(f"The guidelines {path} cannot be read: {error.strerror}. Name a Markdown file.") from error
    except UnicodeDecodeError as error:
        raise MellaError(f"The guidelines {path} are not UTF-8 ({error.reason}); save them as UTF-8.") from error
    if len(data) > MAX_BYTES:
        raise MellaError(f"The guidelines {path} have {len(data):,} bytes; keep them under {MAX_BYTES:,}.")
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise MissingExtraError("markdown-it-py", "review", "Showing guidelines") from error
    return str(MarkdownIt("commonmark", {"html": False}).disable("image").render(text))
