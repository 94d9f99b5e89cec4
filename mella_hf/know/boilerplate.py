"""Detect alt-texts that only name a kind of file or advertise something.

Word lists for the eight languages and English. A text is boilerplate only if nothing else is in it: "logo" is rejected,
"logo of the Prague Zoo" is kept.
"""

import re

# Alt-texts that say what kind of file this is instead of what it shows, as whole texts; a number may follow.
_PHRASES = (
    "logo|icon|image|images|img|photo|photos|picture|pic|banner|thumbnail|thumb|avatar|untitled|read more|alt",
    "alt text|placeholder|spacer|pixel|screenshot|no image|image description|default|profile picture|loading",
    "صورة|الصورة|صور|شعار|الشعار|أيقونة|ايقونة|صورة شخصية|بدون عنوان|الصورة الرمزية|لا توجد صورة|اقرأ المزيد",
    "obrázek|obrázky|foto|fotka|fotografie|ikona|náhled|bez názvu|ilustrační foto|ilustrační obrázek|číst dál",
    "kép|képek|fotó|ikon|embléma|illusztráció|névtelen|profilkép|borítókép|nincs kép|tovább",
    "사진|이미지|그림|로고|아이콘|썸네일|대표 이미지|프로필 사진|이미지 없음|더 보기",
    "изображение|картинка|фото|фотография|логотип|иконка|значок|аватар|баннер|без названия|нет фото|подробнее",
    "слика|слике|фотографија|лого|икона|аватар|без наслова|slika|slike|fotografija|bez naslova|опширније|opširnije",
    "รูป|รูปภาพ|ภาพ|ภาพถ่าย|โลโก้|ไอคอน|ภาพประกอบ|ไม่มีชื่อ|ภาพหน้าปก|ไม่มีรูปภาพ|อ่านต่อ",
    "ảnh|hình|hình ảnh|hình minh họa|ảnh minh họa|biểu tượng|biểu trưng|ảnh đại diện|không có tiêu đề|xem thêm",
)
# What the pictures of a page's own furniture are called, beyond the above.
_FURNITURE = (
    "fig|figure|illustration|شكل|الشكل|الشكل رقم|صورة رقم|obr|obrázek č|ilustrace|ábra|kép száma|그림 번호|рис|рисунок",
    "иллюстрация|сл|слика бр|slika br|รูปที่|ภาพที่|hình số|ảnh số",
    "note|tip|tips|warning|caution|important|info|menu|close|search|share|print|next|previous|prev|back|home|up|down",
    "left|right|top|more|play|arrow|bullet|button|divider|separator|header|footer|background|ad|ads|advertisement",
    "facebook|twitter|instagram|youtube|telegram|whatsapp|tiktok|linkedin|rss|email|e-mail|google play|app store",
    "product site|documentation site|company logo|site logo|note icon|tip icon|warning icon|search icon|menu icon",
    "ملاحظة|تحذير|تلميح|القائمة|قائمة|بحث|إغلاق|التالي|السابق|الرئيسية|مشاركة|طباعة|إعلان|شعار الموقع|لوجو|المزيد",
    "poznámka|tip|varování|upozornění|ikonka|ikona poznámky|ikona tipu|ikona upozornění|logo webu|logo firmy",
    "menu|hledat",
    "zavřít|další|předchozí|zpět|domů|sdílet|tisk|reklama|titulní foto|úvodní foto|náhledový obrázek|obrázek článku",
    "jegyzet|tipp|figyelmeztetés|jegyzet ikon|tipp ikon|figyelmeztetés ikon|menü|keresés|bezárás",
    "következő|előző|vissza",
    "kezdőlap|megosztás|nyomtatás|hirdetés|reklám|logó|illusztrációs kép|kiemelt kép|a cikk képe",
    "참고|팁|경고|주의|참고 아이콘|팁 아이콘|경고 아이콘|메뉴|검색|닫기|다음|이전|홈|공유|인쇄",
    "광고|배너|본문 이미지|첨부 이미지|기사 이미지",
    "примечание|совет|подсказка|предупреждение|внимание|значок примечания|значок подсказки|значок предупреждения|меню",
    "поиск|закрыть|далее|назад|вперёд|вперед|главная|поделиться|печать|реклама|логотип сайта|логотип компании|превью",
    "фото товара|обложка|фото автора|иллюстрация|картинка к статье|фото к статье|фотография автора|миниатюра",
    "белешка|напомена|савет|упозорење|мени|претрага|затвори|следеће|претходно|назад|почетна|подели|штампа|реклама",
    "beleška|napomena|savet|upozorenje|meni|pretraga|zatvori|sledeće|prethodno|nazad|početna|podeli|štampa|ilustracija",
    "илустрација|логотип|логотип сајта|насловна|насловна фотографија|naslovna fotografija|naslovna",
    "หมายเหตุ|คำเตือน|เคล็ดลับ|เมนู|ค้นหา|ปิด|ถัดไป|ก่อนหน้า|หน้าแรก|แชร์|พิมพ์|โฆษณา|แบนเนอร์|ภาพปก|รูปปก|รูปสินค้า",
    "ghi chú|gợi ý|cảnh báo|lưu ý|biểu tượng ghi chú|biểu tượng gợi ý|biểu tượng cảnh báo|trình đơn|menu|tìm kiếm|đóng",
    "tiếp theo|trước|trang chủ|chia sẻ|in|quảng cáo|logo|ảnh bìa|ảnh bài viết|ảnh sản phẩm|hình đại diện|minh họa",
)
_BOILERPLATE = frozenset(phrase for phrases in (*_PHRASES, *_FURNITURE) for phrase in phrases.split("|"))
_EDGES = " \t\n.,;:!?*_|/\\–—-·•،؛؟#()[]№0123456789٠١٢٣٤٥٦٧٨٩๐๑๒๓๔๕๖๗๘๙"

_SPAM = re.compile(
    r"""\b[\w.+-]+@[\w-]+\.[a-z]{2,}\b                        # an e-mail address
    | (?:https?://|www\.)\S                                    # a link inside a text
    | (?<![\d.])\+?\d{1,4}(?:[ .()-]{1,2}\d{2,4}){3,}(?!\d)    # a telephone number; years and sizes have fewer groups
    | (?:\#\w+\s*){3,}                                         # hashtags
    | (.)\1{5,}                                                # !!!!!!
    | \b(?:viagra|cialis|porn\w*|xxx|sex\s?shop|casino|kasino|kaszinó|казино|букмекер\w*)\b
    | 카지노|바카라|토토사이트|먹튀|คาสิโน|บาคาร่า|สล็อต|nhà\ cái|cá\ cược|cá\ độ|كازينو
    | \b(?:купить|заказать)\b.*\b(?:дёшево|дешево|недорого|доставк\w+|цен[аеу])\b
    | \b(?:giá\ rẻ|khuyến\ mãi|mua\ ngay|akciós\ áron|za\ nejlepší\ cenu|nejlevnější|po\ najpovoljnijoj\ ceni)\b
    | 최저가|무료배송|ราคาถูก|بأفضل\ سعر|أرخص\ سعر""",
    re.IGNORECASE | re.VERBOSE,
)
MAX_REPEATED_WORDS = 0.5  # of the words beyond their first occurrence, from SPAM_WORDS on: Gopher's 0.3 is for lines
MAX_COMMAS = 0.5  # of the words end in a separator: a list of search words; ours, of 400 judged texts it costs none
SPAM_WORDS = 8  # words below which repetition says nothing; ours


def is_boilerplate(text: str) -> bool:
    """Whether a text only says what kind of file or button this is, whatever number it carries."""
    return text.casefold().strip(_EDGES) in _BOILERPLATE


def is_spam(text: str, *, max_repeated: float = MAX_REPEATED_WORDS, max_commas: float = MAX_COMMAS) -> bool:
    """Whether a text sells or stuffs: addresses, telephone numbers, betting, one word again and again.

    Args:
        max_repeated: largest share of the words that came before.
        max_commas: largest share of the words that a comma or bar follows.
    """
    if _SPAM.search(text):
        return True
    words = text.casefold().split()
    if len(words) < SPAM_WORDS:
        return False
    separated = sum(word[-1] in ",،|;、" for word in words)
    return 1 - len(set(words)) / len(words) > max_repeated or separated > max_commas * len(words)
