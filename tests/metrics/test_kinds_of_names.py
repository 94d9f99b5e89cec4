"""Kinds of names that rules once missed or cut wrongly, each in texts of its own."""

import pytest

from mella_hf.languages import get_language
from mella_hf.metrics import extract_keywords


@pytest.mark.parametrize(
    ("text", "language", "names"),
    [
        # Dishes, feasts and customs, which are written small, in any form.
        ("A szakács bográcsban kavarja a halászlét", "hu", ["halászlét"]),
        ("Kanál túrós csusza közelről", "hu", ["túrós csusza"]),
        ("Babička smaží bramboráky", "cs", ["bramboráky"]), ("Talíř kulajdy s vejcem", "cs", ["kulajdy"]),
        ("Тарелка пельменей на столе", "ru", ["пельменей"]), ("Солянка в горшочке", "ru", ["Солянка"]),
        ("Тањир сарме и чаша воде", "sr", ["сарме"]), ("Komad gibanice na tanjiru", "sr", ["gibanice"]),
        ("Mẹt bún đậu mắm tôm", "vi", ["bún đậu mắm tôm"]),
        ("Trẻ em rước đèn ngày Tết Trung thu", "vi", ["Tết Trung thu"]),
        ("뜨거운 된장찌개를 먹는다", "ko", ["된장찌개"]), ("가을 불꽃축제를 보는 사람들", "ko", ["불꽃축제"]),
        ("صحن من الكنافة الساخنة", "ar", ["الكنافة"]), ("ข้าวมันไก่หนึ่งจาน", "th", ["ข้าวมันไก่"]),
        # Marks of quotation.
        ("배우가 영화 ‘파묘’ 포스터 앞에 서 있다", "ko", ["파묘"]), ("단편집 《소나무 숲》 표지", "ko", ["소나무 숲"]),
        ("드라마 「겨울 나라」의 한 장면", "ko", ["겨울 나라"]),
        # Scores and years are no part of a name.
        ("Debrecen–Kisvárda 1–3, a csapatok kezet fognak", "hu", ["Debrecen", "Kisvárda"]),
        ("Výlet na Šumavu 1968", "cs", ["Šumavu"]),
        # Titles without quotation marks.
        ("Josef Lada, Zimní ponocný, kvaš", "cs", ["Josef Lada", "Zimní ponocný"]),
        ("Scéna z románu Tichá noc", "cs", ["Tichá noc"]), ("Кадр из фильма Белые ночи", "ru", ["Белые ночи"]),
        ("Архип Куинджи, Берёзовая роща, холст", "ru", ["Архип Куинджи", "Берёзовая роща"]),
        # Two names that stand side by side.
        ("Премьер Японии Синдзо Абэ выступает", "ru", ["Японии", "Синдзо Абэ"]),
        # What a person is does not belong to the name.
        ("Писац Добрица Ћосић на трибини", "sr", ["Добрица Ћосић"]),
        ("للمخرجة كوثر بن هنية فيلم جديد", "ar", ["كوثر بن هنية"]),
        # Institutions that are named by their town or by what they are.
        ("Универзитет у Нишу, нова зграда", "sr", ["Универзитет у Нишу"]),
        ("وزارة الصحة تعلن النتائج", "ar", ["وزارة الصحة"]),
        ("Vườn quốc gia Ba Vì sau mưa", "vi", ["Vườn quốc gia Ba Vì"]),
        ("Nhà máy Thủy điện Sơn La", "vi", ["Nhà máy Thủy điện Sơn La"]),
        ("Emberek a Katona Mihály tere előtt", "hu", ["Katona Mihály tere"]),
        ("A Centrál kávéházban", "hu", ["Centrál kávéházban"]),
        # Words that are no Vietnamese syllable are foreign names.
        ("Ảnh: Getty", "vi", ["Getty"]), ("Vinamilk ra mắt sản phẩm", "vi", ["Vinamilk"]),
        # An ordinary word in a capital within a sentence, and the rest of the name in small letters.
        ("Policisté stojí před Nejvyšším soudem", "cs", ["Nejvyšším soudem"]),
        ("Úředníci z Ústavu pro kontrolu léčiv", "cs", ["Ústavu pro kontrolu"]),
        ("Скуп испред Агенције за лекове", "sr", ["Агенције за лекове"]),
        ("Часовой у здания Министерства обороны", "ru", ["Министерства обороны"]),
        ("Cổng vào Bộ Ngoại giao ở Hà Nội", "vi", ["Bộ Ngoại giao", "Hà Nội"]),
        ("Bên trong Trung tâm Nghiên cứu giống Cần Thơ", "vi", ["Trung tâm Nghiên cứu giống Cần Thơ"]),
        ("Kẹt xe ở TP.HCM", "vi", ["TP.HCM"]),
        ("Policie na Hlavním nádraží", "cs", ["Hlavním nádraží"]), ("Děti slaví Nový rok", "cs", ["Nový rok"]),
        # But not a surname that is an adjective, and what the person does.
        ("Pan Malý čte noviny", "cs", ["Malý"]), ("Учительница Петрова пишет", "ru", ["Петрова"]),
        # Names that one of the Serbian dictionaries has in small letters.
        ("Марко и Драган на пецању", "sr", ["Марко", "Драган"]), ("Zvonko peva deci", "sr", ["Zvonko"]),
        # Dates, the number of a ruler, an initial after an acronym.
        ("Výstava Brno 3. května", "cs", ["Brno"]), ("A tér közepén IV. Béla áll", "hu", ["IV. Béla"]),
        ("Tiskový mluvčí NATO P. Novák", "cs", ["NATO", "P. Novák"]),
        # A common noun that is written together with a name.
        ("한국시간 오전 아홉 시", "ko", ["한국"]),
        # A clitic before what a sight is, and a name that both the dictionary and films lack.
        ("طلاب بجامعة القاهرة", "ar", ["جامعة القاهرة"]), ("تمثال للفيلسوف سبينوزا", "ar", ["سبينوزا"]),
        # A number after a sight, and people whom a word before the name tells.
        ("สะพานพระราม 5 ยามเย็น", "th", ["สะพานพระราม 5"]),
    ],
)  # fmt: skip
def test_names_of_each_kind_are_found_whole(text: str, language: str, names: list[str]) -> None:
    assert extract_keywords(text, language) == names


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Két tányér leves és kenyér", "hu"), ("Děti jedí polévku", "cs"), ("Щенок пьёт молоко", "ru"),
        ("Чаша млека и хлеб", "sr"), ("После кише излази сунце", "sr"), ("Đĩa rau và bát cơm", "vi"),
        ("찌개를 끓이는 냄비", "ko"), ("طبق من الأرز الأبيض", "ar"),
        ("ไข่ดาวบนจาน", "th"), ("„Jdeme domů,“ volá muž", "cs"), ("Az „új” ház előtt", "hu"),
        ("تراجع الصادرات الزراعية", "ar"), ("العمال يستوردون المحاصيل ويصدرونها", "ar"),
        ("الكاتب يجلس أمام الطاولة", "ar"), ("اللاعب صاحب الكرة", "ar"),
    ],
)  # fmt: skip
def test_other_food_and_people_are_no_names(text: str, language: str) -> None:
    assert extract_keywords(text, language) == []


def test_every_custom_of_a_language_is_found_as_it_is_listed() -> None:
    for code in ("hu", "cs", "ru", "sr", "vi", "ar", "ko", "th"):
        language = get_language(code)
        missed = [
            custom
            for custom in sorted(language.naming.customs)
            if not any(custom in name for name in extract_keywords(f"1 {custom}", language))
        ]
        assert missed == [], code
