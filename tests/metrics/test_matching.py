"""Keyword hits: every hand-written positive, at most one false hit a language, and what substring search gets wrong."""

import pytest

from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.metrics.matching import contains, keyword_hits
from mella_hf.text.tokens import analyze

HITS = [
    ("cs", "Most", "hrad most u lesa"),  # a text without capitals
    ("cs", "Bílá hora", "Bitva na Bílé hoře"),
    ("ru", "Орёл", "В центре Орла стоит собор"),
    ("ko", "대구", "대구역 앞 광장"),
    ("ko", "전주", "전주비빔밥 한 그릇"),
    ("ko", "안도라", "작은 나라 안도라도 보인다"),
    ("ko", "리오 가예고스", "사진은 리오 가예고스에서 찍었다"),
    ("hu", "Mérida", "Indulás Méridából"),
    ("sr", "Најроби", "Улица у Најробију"),
    ("ar", "القاهرة", "منظر بالقاهره"),
    ("cs", "Karlův most", "na Karlově mostě"),
    ("cs", "Brno", "výstava v Brně"),
    ("hu", "Halászbástya", "a Halászbástyán"),
    ("ko", "광화문 광장", "광화문광장에 모인 시민들"),
    ("ko", "창덕궁 후원", "창덕궁의 후원을 걷는다"),
    ("ru", "Красная площадь", "на Красной площади"),
    ("sr", "Калемегдан", "pogled na Kalemegdan"),
    ("sr", "Đerdap", "тврђава у Ђердапу"),
    ("th", "ลอยกระทง", "งาน ลอย กระทง ที่สุโขทัย"),
    ("vi", "Hòa Bình", "thành phố Hoà Bình"),
    ("vi", "Đà Nẵng", "Cầu Rồng ở Ðà Nẵng"),  # with eth
    ("vi", "Lý Thái Tổ", "tượng đài Lí Thái Tổ"),
    ("th", "กรุงเทพ", "ตลาดในกรุ\u0e38งเทพ"),
    ("ar", "عبد الله", "صورة الملك عبدالله في القصر"),  # compounds, together or apart
    ("ar", "عبدالله", "صورة للملك عبد الله"),
    ("ar", "بورسعيد", "ميناء في بور سعيد"),
    ("ar", "أبو ظبي", "أبراج بأبوظبي ليلا"),
    ("ar", "القاهرة", "وللقاهرة تاريخ"),
    ("sr", "Шабац", "Живи у Шапцу"),  # a vowel is lost, and a consonant is written as it is said
    ("sr", "Врбас", "Мост у Врбасу"),
    ("ko", "김구", "이것은 김구이다"),  # the copula
    ("ko", "서울", "서울역 앞"),  # what the place is, written together
    ("ko", "강릉", "강릉시청에서"),
    ("vi", "Sa Pa", "Một ngày ở Sapa"),
    ("vi", "Sapa", "Một ngày ở Sa Pa"),
    ("th", "น่าน", "เรือในแม่น้ำน่าน"),
]
MISSES = [
    ("cs", "Most", "Kamenný most přes řeku"),  # ordinary words in small letters
    ("ru", "Орёл", "Над полем летит орёл"),
    ("hu", "Pápa", "Itt a pápa integet"),
    ("sr", "Бор", "Висок бор на планини"),
    ("vi", "Hội An", "Lễ hội an toàn giao thông"),
    ("ko", "대구", "얼큰한 대구탕 한 그릇"),  # cod soup, a pearl necklace, a right to stay, a copula
    ("ko", "진주", "진주목걸이를 한 소녀"),
    ("ko", "영주", "영주권을 든 사람"),
    ("ko", "이란", "사랑이란 꽃이다"),
    ("ko", "전주", "피아노 전주곡 악보"),
    ("ko", "부산", "시장이 부산하게 움직인다"),
    ("ru", "Кострома", "Люди сидят у костра"),
    ("ar", "قطر", "قطرات الماء"),
    ("ar", "القاهرة", "قاهر الظلام"),  # without the article: who conquers, a sport, nobility
    ("ar", "الرياض", "ملعب رياضي"),
    ("ar", "العراق", "عراقة البناء"),
    ("ar", "الخرطوم", "خرطوم الفيل طويل"),
    ("hu", "Sopron", "Soproni torony a ködben"),
    ("ko", "김구", "구운 김구이 한 접시"),  # roast laver; the subject of 김구 is 김구가
    ("ko", "광주", "광주리에 담은 과일"),
    ("sr", "Шабац", "Дебели шапат у Шапи"),
    ("ar", "عبد الله", "عبد الرحمن والله معه"),
    ("ar", "بورسعيد", "بور سعيدة"),
    ("sr", "Niš", "most u Nisu"),
    ("cs", "Hus", "na dvoře pobíhají husy"),
    ("cs", "Karlův most", "most Karla"),
    ("hu", "Pest", "Budapest"),
    ("ko", "김", "김밥을 먹는 사람"),
    ("th", "กา", "การเดินทางไกล"),
    ("vi", "Huế", "đóng thuế"),
]


# Sentences that say a name in an inflected form, and such that say another word.
NAMED = [
    ("hu", "Duna", "A Dunán hajók úsznak."), ("hu", "Buda", "Kilátás Budáról."),
    ("hu", "Csaba", "Csabának integetnek."),
    ("hu", "pálinka", "Két pohár pálinkát isznak."), ("hu", "Eger", "Egerben szüretelnek."),
    ("hu", "Győr", "Győrből indul a vonat."), ("hu", "Vác", "Vácnál kanyarodik a folyó."),
    ("sr", "Ниш", "Тврђава у Нишу."), ("sr", "Ниш", "Tvrđava u Nišu."), ("sr", "Вук", "Споменик Вуку у парку."),
    ("sr", "Нови Сад", "Шетња по Новом Саду."), ("sr", "Тара", "Одмор на Тари."), ("sr", "Гуча", "Трубачи у Гучи."),
    ("ru", "Чехов", "Дом Чехова в Ялте."), ("ru", "Киев", "Улица в Киеве."), ("ru", "Попов", "Портрет Попова."),
    ("ru", "Тула", "Пряник из Тулы."), ("ru", "Омск", "Зима в Омске."),
    ("ru", "Юрий Гагарин", "Памятник Юрию Гагарину."),
    ("cs", "Olomouc", "Kašna v Olomouci."), ("cs", "Praha", "Večer v Praze."), ("cs", "Plzeň", "Pivo z Plzně."),
    ("cs", "Hus", "Pomník Husa."), ("cs", "Zlín", "Dům ve Zlíně."), ("cs", "svíčková", "Talíř se svíčkovou."),
    ("hu", "Vác", "Vácott készült."), ("cs", "trdelník", "Prodavač peče trdelníky."),
    ("ar", "أم درمان", "سوق بأم درمان."), ("ar", "محمد علي", "تمثال محمد على باشا."),
    ("th", "เลย", "จังหวัดน่าน แพร่ และเลย"), ("th", "แพร่", "ภาพถ่ายจากแพร่"),
    ("ko", "부산", "부산에서 찍은 사진"), ("ko", "전주", "전주역 앞"), ("pl", "Kraków", "Rynek w Krakowie."),
]  # fmt: skip
NOT_NAMED = [
    ("ru", "Кострома", "Сидят у костра."), ("ru", "Тверь", "Твердая почва под ногами."),
    ("hu", "Pest", "Budapest este"),
    ("hu", "Buda", "Egy pohár budai bor."), ("hu", "Eger", "Az egerek a padláson vannak."),
    ("ko", "부산", "아이들이 부산하게 움직인다."), ("ko", "전주", "피아노 전주곡을 듣는다."),
    ("cs", "Hus", "Na dvoře jsou husy."),
    ("hu", "Tisza", "Tiszta ruha."), ("hu", "lángos", "A láng nagyot lobban."),
    ("ar", "علي", "قطة على الكرسي."), ("th", "เลย", "สวยมากเลย"), ("th", "กระบี่", "นักรบถือกระบี่"),
    ("sr", "Ниш", "Кип стоји у ниши."), ("sr", "Тара", "Стара кућа на брду."), ("vi", "Huế", "Đóng thuế."),
]  # fmt: skip


@pytest.mark.parametrize(("language", "keyword", "answer"), HITS + NAMED)
def test_hits(language: str, keyword: str, answer: str) -> None:
    assert keyword_hits(answer, [keyword], language) == (1, 1)


@pytest.mark.parametrize(("language", "keyword", "answer"), MISSES + NOT_NAMED)
def test_misses(language: str, keyword: str, answer: str) -> None:
    assert keyword_hits(answer, [keyword], language) == (0, 1)


@pytest.mark.parametrize("language", ["ar", "cs", "ko", "th"])
def test_hand_written_examples(language: str, keyword_examples) -> None:
    for keyword, answer in keyword_examples["pos"][language]:
        found = [keyword_hits(answer, [keyword], language, mode)[0] for mode in ("stem", "fuzzy")]
        assert any(found), (keyword, answer)
    for mode in ("stem", "fuzzy"):
        false = [
            pair for pair in keyword_examples["neg"][language] if keyword_hits(pair[1], pair[:1], language, mode)[0]
        ]
        assert len(false) <= 1, (mode, false)


def test_keywords_count_once_and_marks_not_at_all() -> None:
    assert keyword_hits("Praha v noci", ["Praha", "PRAHA", "—", "Brno"], "cs") == (1, 2)


def test_modes_widen() -> None:
    answer = "Turisté na Karlově mostě, restaurace Vinohratská"
    keywords = ["Karlův most", "Vinohradská", "Turisté"]
    assert [keyword_hits(answer, keywords, "cs", mode)[0] for mode in ("exact", "stem", "fuzzy")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("language", "keyword", "answer", "hit"),
    [
        ("sr", "Niš", "most u Nisu", True),
        ("sr", "Чачак", "setnja po Cacku i okolini", True),
        ("sr", "Чачак", "grad Cacak", True),
        ("sr", "Đorđe Vajfert", "portret: Dorde Vajfert", True),
        ("sr", "Niš", "to je nisu", False),  # a name has a capital
        ("cs", "Plzeň", "pivovar v Plzen", True),
        ("vi", "Huế", "Hue", True),
        ("vi", "Huế", "thue nha", False),
        ("hu", "Győr", "Gyor belvarosa", True),
        ("hu", "Pécs", "a pecsenye", False),
        ("sr", "Dorde Vajfert", "portret: Đorđe Vajfert", True),
        ("cs", "Plzeň", "Praha v zimě", False),
        ("cs", "Hus", "Na dvoře pobíhají husy", False),
        ("vi", "Huế", "Huy hiệu", False),
    ],
)
def test_diacritics_do_not_count_where_that_is_asked_for(language: str, keyword: str, answer: str, hit: bool) -> None:
    assert keyword_hits(answer, [keyword], language, plain=True) == (int(hit), 1)
    assert keyword_hits(answer, [keyword], language) == (0, 1)


@pytest.mark.parametrize(
    ("language", "keyword", "answer", "hit"),
    [
        ("ar", "مراكش", "سوق مراكيش", True),
        ("cs", "Osaka", "Ulice v Osakka", True),  # of five letters
        ("cs", "Oslo", "Ulice v Osloh", False),
        ("cs", "Bratislava", "Vratislava v zimě", False),  # another town: the first letter is another
        ("ko", "산티아고 데 콤포스텔라", "산티아고 데 콤포스텔로", True),
        ("ko", "산티아고 데 콤포스텔라", "바르셀로나 데 몬세라트", False),
        ("th", "กรุงเทพมหานคร", "กรุงเทพมหานคอ", True),
    ],
)
def test_words_that_are_spelled_almost_alike(language: str, keyword: str, answer: str, hit: bool) -> None:
    assert keyword_hits(answer, [keyword], language, "fuzzy") == (int(hit), 1)
    assert keyword_hits(answer, [keyword], language) == (0, 1)


def test_unknown_mode() -> None:
    with pytest.raises(MellaError, match="Unknown keyword mode 'lemma'; choose one of exact, stem, fuzzy"):
        keyword_hits("a", ["b"], "cs", "lemma")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("language", "keyword", "answer", "hit"),
    [
        ("ar", "أم قصر", "ميناء أمقصر", True),  # a compound needs five letters
        ("ar", "عمان", "قال عم أن البيت بعيد", False),
        ("cs", "Brno", "Hlavní nádraží brno", True),  # no ordinary word has these letters
        ("cs", "Karlův most", "Most", False),
        ("th", "วัดอรุณ", "ภาพถ่ายวัดอรุณยามเช้า", True),  # only a common word must stand where a place does
        ("ko", "영주", "영주하는 외국인", False),  # to reside
        ("ar", "أم كلثوم", "بنت كلثوم", False),  # the daughter of another
        ("ar", "قطرات", "دولة قطر", False),  # drops, and the state of Qatar
        ("ar", "مسلم", "المسلمون في الحج", True),  # a stem of four letters
        ("cs", "langoš", "Fronta na langoších", True),  # by its stem: the dictionary has no such word
        ("cs", "Nara", "Cesta za Narou", True),  # its stem is short, its endings are those of a name
        ("hu", "Kent", "Ház Kentnél", True),  # "kent" is an ordinary word, too, but within a sentence it has a capital
        ("hu", "Mérida", "Méridából indul", True),  # a capital where a sentence begins
        ("hu", "Ron", "Beszélgetés Ronnal", True),
        ("ru", "голубь", "голубой шар", False),  # a pigeon, and blue: the dictionary has the paradigms of both
        ("sr", "Darin", "Darija na plaži", False),
    ],
)
def test_where_a_rule_ends(language: str, keyword: str, answer: str, hit: bool) -> None:
    assert keyword_hits(answer, [keyword], language) == (int(hit), 1)


def test_a_keyword_that_is_once_written_with_a_capital_is_a_name() -> None:
    assert keyword_hits("Kamenný most přes řeku", ["Most", "most"], "cs") == (0, 1)
    assert keyword_hits("Kamenný most přes řeku", ["most"], "cs") == (1, 1)


def test_exact_korean_words_stand_one_after_another() -> None:
    # A particle between them, and the copula after them, which is no word of a name.
    answer = "창덕궁의 후원이다"
    assert keyword_hits(answer, ["창덕궁 후원"], "ko", "exact") == (0, 1)
    assert keyword_hits(answer, ["창덕궁 후원"], "ko") == (1, 1)


def test_an_analysed_answer_is_searched_as_its_text_is() -> None:
    answer = analyze("Lidé na Karlově mostě", "cs")
    assert keyword_hits(answer, ["Karlův most", "Brno"], get_language("cs")) == (1, 2)
    assert contains(answer, "karlův most") and not contains(answer, "brno")
    assert not contains(answer, "—")  # without a word
    nis = analyze("most u Nisu", "sr")
    assert contains(nis, "niš", plain=True) and not contains(nis, "niš")
