"""The ablation's stand-ins: a translator of names and lists, and thick descriptions."""

from pathlib import Path

import pytest
from cldr_folder import ENGLISH, LETTERS, make_source, write_annotations

from mella_hf.demo.pictures import PictureSource, find_source
from mella_hf.demo.stand_ins import PictureTranslator, thick_rows
from mella_hf.errors import MellaError


def test_names_and_lists_are_translated_and_nothing_else(source: PictureSource) -> None:
    """The Arabic words stand in the same order as the English ones in `cldr_folder`."""
    translator = PictureTranslator(source)
    asked = ["house", "house and tree", "house, tree, and car", "a house", "house tree", ""]
    assert translator.translate(asked, "en", "ar") == ["بيت", "بيت وشجرة", "بيت وشجرة وسيارة", "", "", ""]
    instructions = ["Answer in Georgian.", "Answer in English.", "Translate into Georgian:"]
    assert translator.translate(instructions, "en", "ka") == ["ქართული:", "ინგლისური:", "ინგლისური → ქართული:"]
    with pytest.raises(MellaError, match="translates from en, not from ar"):
        translator.translate(["بيت"], "ar", "en")


def test_thick_descriptions_add_the_keywords_to_the_name(tmp_path: Path) -> None:
    root = make_source(tmp_path, {})
    names = {letter: f"اسم {name}" for letter, name in zip(LETTERS, ENGLISH, strict=True)}
    write_annotations(find_source(root).common, "ar", names, {"A": "مسكن | اسم house | جدار"})
    (row,) = thick_rows([{"text": "اسم house", "entity": "house", "source": "know"}], find_source(root), "ar")
    assert row["text"] == "اسم house ومسكن وجدار" and row["source"] == "ling"
