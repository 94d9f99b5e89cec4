"""What is read from CLDR. The XML and the expectations were copied by hand from release 41."""

from pathlib import Path

import pytest
from cldr_folder import write_annotations

from mella_hf.demo.cldr import LINES, LISTS, Named, join_names, plain_text, read_groups, read_names
from mella_hf.errors import MellaError


def test_names_and_keywords_as_the_file_has_them(tmp_path: Path) -> None:
    """annotations/ar.xml opens 🎡's name with a mark of direction; yo.xml separates keywords by bars."""
    write_annotations(tmp_path, "ar", {"🎡": "\u202bعجلة دوارة", "🦈": "سمكة قرش"}, {"🦈": "سمك | قرش"})
    write_annotations(tmp_path, "yo", {"🏻": "amọ\u0301lára", "🛒": "↑↑↑"}, {"🏻": "amọ́lára | amọ́láwọ̀ | irú 1–2"})
    assert read_names(tmp_path, "ar") == {"🎡": Named("عجلة دوارة", ()), "🦈": Named("سمكة قرش", ("سمك", "قرش"))}
    assert read_names(tmp_path, "yo") == {"🏻": Named("amọ́lára", ("amọ́lára", "amọ́láwọ̀", "irú 1–2"))}


def test_nynorsk_takes_what_it_lacks_from_norwegian(tmp_path: Path) -> None:
    """supplementalData.xml: <parentLocale parent="no" locales="nb nn"/>."""
    write_annotations(tmp_path, "no", {"🦈": "hai", "⛷": "skiløper"})
    write_annotations(tmp_path, "nn", {"🦈": "↑↑↑", "⛷": "skiløpar"})
    assert {c: one.name for c, one in read_names(tmp_path, "nn").items()} == {"🦈": "hai", "⛷": "skiløpar"}


def test_groups_without_sequences(tmp_path: Path) -> None:
    """Lines of labels.txt: a range, single characters, and a sequence in braces."""
    (tmp_path / "properties").mkdir()
    lines = "# a comment\n[🦘🦙🦛-🦝🦡]  ; Animals & Nature ; animal-mammal\n[👀{👁️‍🗨️}] ; Smileys & People ; body\n"
    (tmp_path / "properties" / "labels.txt").write_text("\ufeff" + lines, "utf-8")
    groups = read_groups(tmp_path)
    assert {c for c, group in groups.items() if group == ("Animals & Nature", "animal-mammal")} == set("🦘🦙🦛🦜🦝🦡")
    assert set(groups) - set("🦘🦙🦛🦜🦝🦡") == {"👀"}


@pytest.mark.parametrize(
    ("code", "two", "three"),
    [
        ("en", "A and B", "A, B, and C"),
        ("ar", "A وB", "A وB وC"),  # start, middle, end and 2: "{0} و{1}"
        ("th", "AและB", "A B และC"),  # start "{0} {1}", end "{0} และ{1}", 2 "{0}และ{1}"
        ("qu", "A, B", "A, B, C"),
        ("sw", "A na B", "A, B na C"),
        ("ja", "A、B", "A、B、C"),
        ("fa", "A و B", "A، B، و C"),  # start "{0}،\u200f {1}": names and lists have no marks of direction
    ],
)
def test_lists_by_the_patterns_of_the_language(code: str, two: str, three: str) -> None:
    assert join_names(["A"], code) == "A"
    assert join_names(["A", "B"], code) == two
    assert join_names(["A", "B", "C"], code) == three


def test_plain_text_is_of_the_language_and_keeps_apart_what_it_should(tmp_path: Path) -> None:
    write_annotations(tmp_path, "ar", {"🦈": "سمكة قرش", "🙂": "وجه مبتسم قليلاً"})
    (tmp_path / "rbnf").mkdir()
    rules = '<rbnfrule value="7">سبعة;</rbnfrule><rbnfrule value="200">مائتان[ و →→];</rbnfrule>'
    (tmp_path / "rbnf" / "ar.xml").write_text(f"<ldml><ruleset>{rules}</ruleset></ldml>", "utf-8")
    lines = plain_text(tmp_path, "ar", frozenset({"سمكة قرش"}))
    assert lines == plain_text(tmp_path, "ar", frozenset({"سمكة قرش"})) and len(lines) == len(set(lines))
    assert 500 < len(lines) - LISTS <= LINES
    assert "سمكة قرش" not in lines
    assert not any("→" in line for line in lines)
    assert sum(any("\u0600" <= c <= "\u06ff" for c in line) for line in lines) > 0.95 * len(lines)


def test_bad_sources_are_errors(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="CLDR names no pictures in 'tlh'"):
        read_names(tmp_path, "tlh")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "yo.xml").write_text("<ldml><annotations>", "utf-8")
    with pytest.raises(MellaError, match=r"yo\.xml is not readable XML .*Unpack the package again"):
        read_names(tmp_path, "yo")
    with pytest.raises(MellaError, match=r"There is no .*labels\.txt"):
        read_groups(tmp_path)
