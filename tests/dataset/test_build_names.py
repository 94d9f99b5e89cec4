"""The keywords of alt-texts: found where there is a way, counted where there is none."""

import sys
from collections import Counter

import pytest

from mella_hf.dataset.building import names
from mella_hf.dataset.building.candidate import Unit
from mella_hf.dataset.building.names import fill_keywords
from mella_hf.version import __version__


def unit(language: str, source: str = "know") -> Unit:
    return Unit("u", language, source, {})


def test_names_are_found_by_the_languages_rule() -> None:
    rows = [
        {"text": "Pohled na Karlův most v Praze"},
        {"text": "malý pes na trávě"},
        {"text": "Praha", "keywords": ["Vltava"]},
    ]
    counts: Counter[str] = Counter()
    fill_keywords(rows, unit("cs"), counts)
    assert [row["keywords"] for row in rows] == [["Karlův most", "Praze"], [], ["Vltava"]]
    assert counts == {names.FOUND: 1}
    assert [row.get("keywords_by") for row in rows] == [f"rules-{__version__}"] * 2 + [None]  # its source's own


@pytest.mark.parametrize(("language", "source"), [("ja", "know"), ("qzz", "know"), ("cs", "ling")])
def test_where_nothing_is_looked_for_the_column_stays_null(language: str, source: str) -> None:
    rows, counts = [{"text": "金閣寺の庭園"}], Counter[str]()
    fill_keywords(rows, unit(language, source), counts)
    assert "keywords" not in rows[0]
    assert counts == ({} if source == "ling" else {names.NO_EXTRACTOR: 1})


@pytest.mark.parametrize(
    ("language", "text", "package"), [("ko", "서울의 한강", "kiwipiepy"), ("th", "วัดอรุณ", "pythainlp")]
)
def test_missing_packages_are_counted(monkeypatch: pytest.MonkeyPatch, language: str, text: str, package: str) -> None:
    from mella_hf.text import tokens

    tokens._kiwi.cache_clear()
    for module in [name for name in sys.modules if name.split(".")[0] == package] or [package]:
        monkeypatch.setitem(sys.modules, module, None)
    rows, counts = [{"text": text}], Counter[str]()
    fill_keywords(rows, unit(language), counts)
    assert "keywords" not in rows[0] and counts == {names.NO_PACKAGES: 1}
