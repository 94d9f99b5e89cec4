"""Spellings that a reader takes for one word are one word to the metric; different words stay different."""

import multiprocessing
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mella_hf.errors import MissingExtraError
from mella_hf.languages import get_language, language_codes
from mella_hf.text import tokens as text

SAME = [
    ("ar", "مُحَمَّد", "محمد"),
    ("ar", "إسطنبول", "اسطنبول"),
    ("ar", "القاهرة", "القاهره"),
    ("ar", "مستشفى", "مستشفي"),
    ("ar", "جمـــيل", "جميل"),
    ("ar", "٢٠١٧", "2017"),
    ("ru", "Ёлка", "елка"),
    ("ru", "за\u0301мок", "замок"),
    ("sr", "Љубљана", "Ljubljana"),
    ("sr", "Ђорђе", "Đorđe"),
    ("sr", "Đorđe", "Djordje"),
    ("sr", "Џеп", "džep"),
    ("th", "น้ำ", "น้ํา"),  # sara am taken apart, as NFKC leaves it
    ("th", "นํ้า", "น้ำ"),
    ("th", "เเกง", "แกง"),
    ("th", "ที\u0e35\u0e48", "ที่"),  # a vowel typed twice
    ("th", "ก\u0e34\u0e48\u0e48ง", "กิ่ง"),
    ("th", "สิทธ\u0e4c\u0e34", "สิทธิ์"),  # the silencer before the vowel
    ("th", "ก\u0e48\u0e38\u0e48", "กุ่"),
    ("th", "พ.ศ. ๒๕๖๐", "พ.ศ. 2560"),
    ("th", "วัด\u200bอรุณ", "วัดอรุณ"),
    ("vi", "hòa", "hoà"),
    ("vi", "khỏe", "khoẻ"),
    ("vi", "thủy", "thuỷ"),
    ("vi", "ÐÀ NẴNG", "Đà Nẵng"),  # U+00D0, eth
    ("vi", "Lý Thường Kiệt", "Lí Thường Kiệt"),
    ("vi", "nước Mĩ", "nước Mỹ"),
    ("vi", "Quí Nhơn", "Quý Nhơn"),
    ("vi", "HUÊ\u0301", "huế"),
    ("ko", "\u1112\u1161\u11ab", "한"),
    ("cs", "KARLŮV\u00a0most", "karlův most"),
]
DIFFERENT = [
    ("vi", "tay", "tai"),
    ("vi", "thuý", "thuí"),
    ("vi", "y", "i"),
    ("th", "กกก", "ก"),
    ("vi", "ma", "má"),
    ("vi", "thuế", "huế"),
    ("cs", "byt", "být"),
    ("hu", "kor", "kör"),
    ("ru", "и", "й"),
]


@pytest.mark.parametrize(("language", "one", "other"), SAME)
def test_one_word_in_two_spellings(language: str, one: str, other: str) -> None:
    assert text.normalize(one, language) == text.normalize(other, language)


@pytest.mark.parametrize(("language", "one", "other"), DIFFERENT)
def test_two_words_stay_two(language: str, one: str, other: str) -> None:
    assert text.normalize(one, language) != text.normalize(other, language)


def test_thai_keeps_sara_am_whole() -> None:
    assert text.normalize("ต้มยำ", "th") == "ต้มยำ"


@pytest.mark.parametrize("code", language_codes())
@settings(max_examples=150, deadline=None)
@given(raw=st.text(max_size=60))
def test_normalising_twice_is_normalising_once(code: str, raw: str) -> None:
    normalizer = get_language(code).normalizer
    once = normalizer(raw)
    assert normalizer(once) == once


SCRIPTS = {
    "ar": "ابتةىأإآٱ\u064b\u0640\u0670٠",
    "th": "กเแำ\u0e4d\u0e32\u0e48\u0e49\u0e34\u0e38\u0e3a\u0e4c๑",
    "vi": "oaeuyòóúùạ\u0301\u0300hqlðĐ ",
    "sr": "љњђџдđжİ",
}


@pytest.mark.parametrize(("code", "alphabet"), SCRIPTS.items())
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_normalising_twice_is_normalising_once_in_the_script_itself(
    code: str, alphabet: str, data: st.DataObject
) -> None:
    once = text.normalize(data.draw(st.text(alphabet=alphabet, max_size=12)), code)
    assert text.normalize(once, code) == once


def test_tokens_are_words_and_single_marks() -> None:
    assert text.tokenize("Na Karlově mostě, 2017.", "cs") == ["na", "karlově", "mostě", ",", "2017", "."]
    assert text.analyze("Na mostě, 2017.", "cs").words == ["na", "mostě", "2017"]


def test_korean_tokens_are_morphemes_and_hold_no_space() -> None:
    tokens = text.tokenize("서울의 한강에서 찍은 사진이다.", "ko")
    assert tokens[:4] == ["서울", "의", "한강", "에서"]
    assert all(token.split() == [token] for token in tokens)


def test_korean_is_cut_in_a_fork_of_a_process_that_has_cut_korean() -> None:
    # As workers of a DataLoader and of `datasets.map(num_proc=2)` are. Kiwi's own threads would not be there.
    assert text.korean_morphemes("한강")
    fork = multiprocessing.get_context("fork")
    sent, received = fork.SimpleQueue(), []
    worker = fork.Process(target=lambda: sent.put([m.form for m in text.korean_morphemes("서울의 다리")]), daemon=True)
    worker.start()
    worker.join(60)  # seconds; it hung for ever
    if worker.exitcode is None:
        worker.kill()
    else:
        received = sent.get()
    assert received == ["서울", "의", "다리"]


def test_thai_is_cut_into_words() -> None:
    assert text.tokenize("ชามต้มยำกุ้งร้อน", "th") == ["ชาม", "ต้มยำกุ้ง", "ร้อน"]


# From the Snowball project's vocabularies (snowball-data: czech, hungarian, russian).
@pytest.mark.parametrize(
    ("language", "words"),
    [("cs", ["praha", "prahy", "prahou"]), ("ru", ["москва", "москве", "москвой"]), ("hu", ["ház", "házban"])],
)
def test_forms_share_a_stem(language: str, words: list[str]) -> None:
    assert len(set(text.stem(words, language))) == 1


def test_arabic_article_and_suffix_both_go() -> None:
    assert text.stem(["القهوه", "قهوه", "والقهوه", "بالقهوه"], "ar") == ["قهو"] * 4


def test_no_stemmer_leaves_words_as_they_are() -> None:
    assert text.stem(["nhà"], "vi") == ["nhà"]


@pytest.mark.parametrize(
    ("package", "language", "loader"), [("kiwipiepy", "ko", "_kiwi"), ("pythainlp.tokenize", "th", "_newmm")]
)
def test_a_missing_tokenizer_names_its_extra(
    package: str, language: str, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    getattr(text, loader).cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"mella_hf\[metrics\]"):
        text.analyze("a", language)


def test_marks_beyond_thirty_on_a_letter_are_cut_from_long_texts() -> None:
    # Unicode's Stream-Safe Text Format. Sorting a million of them would take the whole test run.
    marks = "\u0301\u0327" * 500_000
    assert text.normalize(f"x{marks} y", "cs") == "x" + "\u0327" * 15 + "\u0301" * 15 + " y"


def test_a_korean_word_without_end_is_cut_and_its_morphemes_stay_where_they_are() -> None:
    written = "서울의 " + "서울" * 20_000 + " 한강 🙂 한강"
    morphemes = text.korean_morphemes(written)
    assert all(written[m.start : m.end] == m.form for m in morphemes)
    assert [m.form for m in morphemes[-3:]] == ["한강", "🙂", "한강"] and len(morphemes) > 40
