"""Names in Korean and Thai texts that are cut by hand, so that no analyser has a say. Most have no meaning."""

import pytest

from mella_hf.languages import get_language
from mella_hf.metrics.matching.unspaced import is_found_unspaced, text_of_place
from mella_hf.text.tokens import TokenAnalysis


def cut(language: str, tokens: str, text: str = "?") -> TokenAnalysis:
    """An analysed text: `cut("ko", "서울/NNP 역/NNG")`. Nothing is found in the text "?" itself."""
    words, tags = zip(*(token.split("/") for token in tokens.split()), strict=True)
    return TokenAnalysis(get_language(language), text, list(words), list(tags), text)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("가나 다라", "가나 다라에서 본", True),  # with a particle after its last word
        ("가나 다라", "사진 가나 다라", True),
        ("가나다라", "가나 다라 사진", True),  # written apart
        ("가나다라", "가나 마 다라", False),
        ("가나다", "가나 가나다", True),  # its beginning, and then the whole
        ("가나", "가나다", False),
        ("가나", "다 가나는", True),
        ("가", "가에서", False),  # one syllable occurs everywhere
    ],
)
def test_a_korean_name_that_was_cut_anyhow(name: str, text: str, found: bool) -> None:
    assert is_found_unspaced(cut("ko", "하/NNG", name), cut("ko", "?/SF", text), fuzzy=False) is found


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("가/NNP 은/NNG", "가/NNP 은/JX 다/VV", True),  # the end of a name, taken for a particle
        ("가/NNP 의/JKG 나/NNP", "가/NNP 나/NNP", True),  # the particle in a name, left out
        ("가/NNP 나/NNP", "가/NNP 의/JKG 나/NNP", True),
        ("가나/NNP", "가/NNP 나/NNP 다가나다/NNG", True),  # once at the edges of words, once within one
        ("가나/NNP", "하가나/NNG 가/NNP 나/NNP 다가나다/NNG", True),
        ("가가/NNP", "나가/NNG 가가/NNP", True),
        ("가나/NNP", "다가나다/NNG", False),
    ],
)
def test_a_korean_name_begins_and_ends_where_words_do(name: str, text: str, found: bool) -> None:
    assert is_found_unspaced(cut("ko", name), cut("ko", text), fuzzy=False) is found


@pytest.mark.parametrize(("name", "found"), [("กขคง", True), ("กขค", False), ("กข้ค้", False)])
def test_a_thai_name_of_four_letters_is_found_within_words(name: str, found: bool) -> None:
    """Tone marks are no letters."""
    assert is_found_unspaced(cut("th", f"{name}/"), cut("th", f"จ{name}/ จ/"), fuzzy=False) is found


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("가나다라마바사", "가나다/NNP 라마바아/NNP", True),  # one syllable is another: a ratio of 12/14
        ("가나다라마바사", "하하하하하하하하하/NNP 가나다/NNP 라마바아/NNP", True),
        ("가나다라마바사", "가나다/NNP 라마바사아/NNP", True),  # one more
        ("가나다라마바사", "가나다/NNP 라마바/NNP", True),  # one less
        ("가나다라마바사", "가나다/NNP 라마바사아자/NNP", False),  # two more, although the ratio is 14/16
        ("가나다라마바사아자", "가나다/NNP 라마바사/NNP", False),  # two less
        ("가나다라마바사", "나나나나나나나/NNP", False),
    ],
)
def test_a_run_of_words_is_spelled_almost_alike(name: str, text: str, found: bool) -> None:
    assert is_found_unspaced(cut("ko", f"{name}/NNP"), cut("ko", text), fuzzy=True) is found
    assert not is_found_unspaced(cut("ko", f"{name}/NNP"), cut("ko", text), fuzzy=False)


# เลย is a province, and a particle. ใน is "in", ที่ "at", มาก "much", สวย "beautiful", น่าน another province.
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("เลย", "เลย"),
        ("ในเลย", "ในเลย"),
        ("น่าน เลย", "น่าน เลย"),
        ("ที่เลย.", "ที่เลย."),
        ("ที่เลยและน่าน", "ที่เลยและน่าน"),
        ("ที่เลย ในเลย", "ที่เลย ในเลย"),
        ("ที่เลยมาก", "ที่ มาก"),
        ("สวยเลย", "สวย "),
        ("สวยเลย ในเลย", "สวย  ในเลย"),
        ("สวยมาก", "สวยมาก"),
    ],
)
def test_a_thai_province_stands_where_a_place_does(text: str, kept: str) -> None:
    assert text_of_place("เลย", cut("th", "?/", text)) == kept
