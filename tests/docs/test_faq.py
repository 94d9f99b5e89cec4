"""The error messages that the troubleshooting page explains are those of the library."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def messages() -> str:
    """All texts of the library; values that a message fills in become "…"."""
    texts = []
    for path in (ROOT / "mella_hf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                texts.append("".join(map(str, parts)))
    return "\n".join(texts)


def test_each_quoted_message_exists() -> None:
    page = (ROOT / "docs/faq.md").read_text("utf-8")
    quoted = [heading for heading in re.findall(r"^### .*`(.+?)`", page, re.MULTILINE) if "…" in heading]
    assert len(quoted) >= 6
    known = messages()
    pieces = [piece.strip(" '") for heading in quoted for piece in re.split(r"…|\d+", heading)]
    assert [piece for piece in pieces if len(piece) > 3 and piece not in known] == []
