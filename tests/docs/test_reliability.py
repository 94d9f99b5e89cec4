"""The page on reliability: each kind of fault that was reported is on it, with a test that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
KINDS = 29


def test_each_kind_names_a_report_and_a_test() -> None:
    page = (ROOT / "docs/reliability.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| (?!what goes wrong)", line)]
    assert len(rows) == KINDS
    for row in rows:
        _, _, reports, _, tests, _ = re.split(r"(?<!\\)\|", row)
        assert "https://github.com/" in reports, row
        named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", tests)
        assert named, row
        for file, name in named:
            assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text("utf-8"), (file, name)


def test_files_that_the_page_names_exist() -> None:
    page = (ROOT / "docs/reliability.md").read_text("utf-8")
    files = re.findall(r"`(tests/[\w/]+\.py)`", page)
    assert files and [name for name in files if not (ROOT / name).is_file()] == []
