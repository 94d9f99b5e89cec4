"""The supported languages: one `Language` per code with everything that the stages know about it.

To add a language, add one entry here, or call `register` from your own code.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mella_hf.errors import MellaError, UnknownLanguageError
from mella_hf.languages.normalize import (
    normalize_arabic,
    normalize_korean,
    normalize_russian,
    normalize_serbian,
    normalize_text,
    normalize_thai,
    normalize_vietnamese,
)


@dataclass(frozen=True)
class Language:
    """What the stages need to know about a language.

    Attributes:
        code: ISO 639-1 code; also the dataset's config name.
        name: English name.
        native_name: the language's name for itself.
        scripts: ISO 15924 codes of the scripts that its texts are written in, the usual one first.
        rtl: whether text runs from right to left.
        normalizer: str -> str, idempotent; what metrics apply before they compare texts.
        tokenizer: "words" (Unicode words), "kiwi" (Korean morphemes) or "newmm" (Thai words).
        stemmer: name of the Snowball algorithm in PyStemmer, or None where there is none.
        lid: labels of a language identifier that count as this language.
        translation: (service, the service's code of this language) for every translation service of
            `mella_hf.ling.translators.services` that covers it, the preferred one first.
        know_prompts: user turns that ask for the alt-text; the first is the test prompt.
        ling_prompts: user turns that ask for a description; the first is the test prompt,
            the language's "Describe this picture." (paper, evaluation settings).
    """

    code: str
    name: str
    native_name: str
    scripts: tuple[str, ...]
    know_prompts: tuple[str, ...]
    ling_prompts: tuple[str, ...]
    rtl: bool = False
    normalizer: Callable[[str], str] = normalize_text
    tokenizer: str = "words"
    stemmer: str | None = None
    lid: frozenset[str] = frozenset()
    translation: tuple[tuple[str, str], ...] = ()

    def prompts(self, source: str) -> tuple[str, ...]:
        """The user turns of a source (`know` or `ling`)."""
        if source not in ("know", "ling"):
            raise MellaError(f"Unknown source {source!r}; choose 'know' or 'ling'.")
        return self.know_prompts if source == "know" else self.ling_prompts

    def test_prompt(self, source: str) -> str:
        """The one user turn that evaluation uses for a source."""
        return self.prompts(source)[0]


_LANGUAGES: dict[str, Language] = {}


def register(language: Language) -> Language:
    """Add a language, so that every stage knows it. Raises MellaError if the code is taken."""
    if language.code in _LANGUAGES:
        raise MellaError(f"The language code {language.code!r} is registered already; choose another code.")
    _LANGUAGES[language.code] = language
    return language


def get_language(code: str) -> Language:
    """The entry of a code. Raises UnknownLanguageError, naming the known codes."""
    if code not in _LANGUAGES:
        raise UnknownLanguageError(
            f"Unknown language {code!r}; choose one of {', '.join(language_codes())}, "
            "or add an entry to mella_hf/languages.py (see CONTRIBUTING.md, 'How to add a language')."
        )
    return _LANGUAGES[code]


def language_codes() -> list[str]:
    """The codes of all registered languages, in alphabetical order."""
    return sorted(_LANGUAGES)


register(
    Language(
        code="ar",
        name="Arabic",
        native_name="العربية",
        scripts=("Arab",),
        rtl=True,
        normalizer=normalize_arabic,
        stemmer="arabic",
        lid=frozenset({"ar", "ary", "arz"}),
        translation=(
            ("deepl", "AR"),
            ("google", "ar"),
            ("microsoft", "ar"),
            ("libre", "ar"),
            ("nllb", "arb_Arab"),
            ("madlad", "ar"),
        ),
        know_prompts=(
            "ما هذا؟",
            "ما اسم الشيء الظاهر في الصورة؟",
            "اذكر اسم ما تراه في هذه الصورة.",
            "سمِّ ما يظهر في هذه الصورة.",
            "اكتب نصًا بديلًا قصيرًا لهذه الصورة.",
            "أعطني نصًا بديلًا لهذه الصورة.",
            "ما العنوان المناسب لهذه الصورة؟",
            "اكتب تعليقًا قصيرًا يسمّي ما في الصورة.",
            "من أو ماذا يظهر في هذه الصورة؟",
            "ماذا ترى في الصورة؟ أجب باختصار.",
        ),
        ling_prompts=(
            "صف هذه الصورة.",
            "اكتب وصفًا مفصلًا لهذه الصورة.",
            "صف بالتفصيل ما تراه في الصورة.",
            "كيف تبدو هذه الصورة؟",
            "قدّم وصفًا دقيقًا للصورة.",
            "اشرح بالتفصيل ما يظهر في الصورة.",
            "صف الألوان والأشكال في هذه الصورة.",
            "صف مظهر الصورة في بضع جمل.",
            "أعطني وصفًا كاملًا لهذه الصورة.",
            "ما تفاصيل هذه الصورة؟",
        ),
    )
)
register(
    Language(
        code="cs",
        name="Czech",
        native_name="čeština",
        scripts=("Latn",),
        stemmer="czech",
        lid=frozenset({"cs"}),
        translation=(
            ("deepl", "CS"),
            ("google", "cs"),
            ("microsoft", "cs"),
            ("libre", "cs"),
            ("nllb", "ces_Latn"),
            ("madlad", "cs"),
        ),
        know_prompts=(
            "Co je to?",
            "Jak se jmenuje to, co je na obrázku?",
            "Pojmenuj, co vidíš na obrázku.",
            "Co je na tomto obrázku? Odpověz stručně.",
            "Napiš k tomuto obrázku krátký alternativní text.",
            "Vytvoř alternativní text obrázku.",
            "Jaký popisek se hodí k tomuto obrázku?",
            "Napiš krátký popisek, který pojmenuje, co obrázek ukazuje.",
            "Kdo nebo co je na obrázku?",
            "Uveď název toho, co obrázek zachycuje.",
        ),
        ling_prompts=(
            "Popiš tento obrázek.",
            "Podrobně popiš tento obrázek.",
            "Popiš v několika větách, co na obrázku vidíš.",
            "Jak tento obrázek vypadá?",
            "Napiš podrobný popis obrázku.",
            "Popiš barvy a tvary na tomto obrázku.",
            "Vylič, jak obrázek vypadá.",
            "Dej mi úplný popis tohoto obrázku.",
            "Jaké podrobnosti jsou na obrázku vidět?",
            "Co nejpřesněji popiš vzhled obrázku.",
        ),
    )
)
register(
    Language(
        code="hu",
        name="Hungarian",
        native_name="magyar",
        scripts=("Latn",),
        stemmer="hungarian",
        lid=frozenset({"hu"}),
        translation=(
            ("deepl", "HU"),
            ("google", "hu"),
            ("microsoft", "hu"),
            ("libre", "hu"),
            ("nllb", "hun_Latn"),
            ("madlad", "hu"),
        ),
        know_prompts=(
            "Mi ez?",
            "Mi a neve annak, ami a képen látható?",
            "Nevezd meg, mit látsz a képen.",
            "Mi van ezen a képen? Válaszolj röviden.",
            "Írj rövid alternatív szöveget ehhez a képhez.",
            "Adj meg alternatív szöveget a képhez.",
            "Milyen képaláírás illik ehhez a képhez?",
            "Írj rövid képaláírást, amely megnevezi, mit ábrázol a kép.",
            "Ki vagy mi látható a képen?",
            "Mondd meg, mit ábrázol ez a kép.",
        ),
        ling_prompts=(
            "Írd le ezt a képet.",
            "Írd le részletesen ezt a képet.",
            "Írd le néhány mondatban, mit látsz a képen.",
            "Hogyan néz ki ez a kép?",
            "Készíts részletes leírást a képről.",
            "Írd le a kép színeit és formáit.",
            "Mutasd be részletesen, milyen ez a kép.",
            "Adj teljes leírást erről a képről.",
            "Milyen részletek láthatók a képen?",
            "Írd le minél pontosabban a kép megjelenését.",
        ),
    )
)
register(
    Language(
        code="ko",
        name="Korean",
        native_name="한국어",
        scripts=("Hang",),
        normalizer=normalize_korean,
        tokenizer="kiwi",
        lid=frozenset({"ko"}),
        translation=(
            ("deepl", "KO"),
            ("google", "ko"),
            ("microsoft", "ko"),
            ("libre", "ko"),
            ("nllb", "kor_Hang"),
            ("madlad", "ko"),
        ),
        know_prompts=(
            "이것은 무엇입니까?",
            "사진에 있는 것의 이름은 무엇입니까?",
            "사진에 보이는 것의 이름을 말해 주세요.",
            "이 사진에 무엇이 있습니까? 짧게 답해 주세요.",
            "이 사진의 짧은 대체 텍스트를 써 주세요.",
            "사진에 알맞은 대체 텍스트를 만들어 주세요.",
            "이 사진에 어울리는 제목은 무엇입니까?",
            "무엇을 찍은 사진인지 짧게 적어 주세요.",
            "이 사진에 나오는 것은 누구 또는 무엇입니까?",
            "사진 속 대상의 이름을 알려 주세요.",
        ),
        ling_prompts=(
            "이 사진을 설명해 주세요.",
            "이 사진을 자세히 설명해 주세요.",
            "사진에서 보이는 모습을 몇 문장으로 묘사해 주세요.",
            "이 사진은 어떻게 생겼습니까?",
            "사진에 대한 자세한 설명을 써 주세요.",
            "이 사진의 색과 모양을 설명해 주세요.",
            "사진의 모습을 구체적으로 묘사해 주세요.",
            "이 사진을 빠짐없이 설명해 주세요.",
            "사진에서 어떤 세부 모습을 볼 수 있습니까?",
            "이 사진의 생김새를 되도록 정확하게 설명해 주세요.",
        ),
    )
)
register(
    Language(
        code="ru",
        name="Russian",
        native_name="русский",
        scripts=("Cyrl",),
        normalizer=normalize_russian,
        stemmer="russian",
        lid=frozenset({"ru"}),
        translation=(
            ("deepl", "RU"),
            ("google", "ru"),
            ("microsoft", "ru"),
            ("libre", "ru"),
            ("nllb", "rus_Cyrl"),
            ("madlad", "ru"),
        ),
        know_prompts=(
            "Что это?",
            "Как называется то, что изображено на картинке?",
            "Назови, что ты видишь на картинке.",
            "Что на этой картинке? Ответь кратко.",
            "Напиши короткий альтернативный текст для этой картинки.",
            "Составь альтернативный текст к изображению.",
            "Какая подпись подойдёт к этой картинке?",
            "Напиши краткую подпись, называющую то, что изображено.",
            "Кто или что изображено на картинке?",
            "Укажи название того, что показано на картинке.",
        ),
        ling_prompts=(
            "Опиши эту картинку.",
            "Подробно опиши эту картинку.",
            "Опиши в нескольких предложениях, что видно на картинке.",
            "Как выглядит эта картинка?",
            "Составь подробное описание картинки.",
            "Опиши цвета и формы на этой картинке.",
            "Расскажи подробно, как выглядит изображение.",
            "Дай полное описание этой картинки.",
            "Какие детали видны на картинке?",
            "Как можно точнее опиши внешний вид картинки.",
        ),
    )
)
register(
    Language(
        code="sr",
        name="Serbian",
        native_name="српски",
        scripts=("Cyrl", "Latn"),
        normalizer=normalize_serbian,
        stemmer="serbian",
        lid=frozenset({"sr", "hr", "bs", "sh"}),
        # Serbian in Cyrillic, which Microsoft and NLLB tell apart by code.
        translation=(("google", "sr"), ("microsoft", "sr-cyrl"), ("nllb", "srp_Cyrl"), ("madlad", "sr")),
        know_prompts=(
            "Шта је ово?",
            "Како се зове оно што је на слици?",
            "Именуј оно што видиш на слици.",
            "Шта је на овој слици? Одговори кратко.",
            "Напиши кратак алтернативни текст за ову слику.",
            "Састави алтернативни текст за слику.",
            "Који наслов одговара овој слици?",
            "Напиши кратак потпис који именује оно што слика приказује.",
            "Ко је или шта је на слици?",
            "Наведи назив онога што је приказано на слици.",
        ),
        ling_prompts=(
            "Опиши ову слику.",
            "Детаљно опиши ову слику.",
            "Опиши у неколико реченица шта се види на слици.",
            "Како изгледа ова слика?",
            "Напиши детаљан опис слике.",
            "Опиши боје и облике на овој слици.",
            "Испричај детаљно како слика изгледа.",
            "Дај потпун опис ове слике.",
            "Који се детаљи виде на слици?",
            "Што прецизније опиши изглед слике.",
        ),
    )
)
register(
    Language(
        code="th",
        name="Thai",
        native_name="ไทย",
        scripts=("Thai",),
        normalizer=normalize_thai,
        tokenizer="newmm",
        lid=frozenset({"th"}),
        translation=(("google", "th"), ("microsoft", "th"), ("libre", "th"), ("nllb", "tha_Thai"), ("madlad", "th")),
        know_prompts=(
            "นี่คืออะไร",
            "สิ่งที่อยู่ในภาพเรียกว่าอะไร",
            "บอกชื่อสิ่งที่เห็นในภาพนี้",
            "ในภาพนี้มีอะไร ตอบสั้น ๆ",
            "เขียนข้อความแทนภาพสั้น ๆ สำหรับภาพนี้",
            "ช่วยตั้งข้อความแทนภาพให้ภาพนี้",
            "คำบรรยายใต้ภาพนี้ควรเป็นอะไร",
            "เขียนคำบรรยายสั้น ๆ ที่บอกชื่อสิ่งที่อยู่ในภาพ",
            "ใครหรืออะไรอยู่ในภาพนี้",
            "ระบุชื่อของสิ่งที่ปรากฏในภาพ",
        ),
        ling_prompts=(
            "อธิบายภาพนี้",
            "อธิบายภาพนี้อย่างละเอียด",
            "บรรยายสิ่งที่เห็นในภาพด้วยประโยคสั้น ๆ หลายประโยค",
            "ภาพนี้มีลักษณะอย่างไร",
            "เขียนคำอธิบายภาพอย่างละเอียด",
            "อธิบายสีและรูปทรงในภาพนี้",
            "เล่ารายละเอียดว่าภาพนี้ดูเป็นอย่างไร",
            "ช่วยอธิบายภาพนี้ให้ครบถ้วน",
            "ในภาพนี้เห็นรายละเอียดอะไรบ้าง",
            "อธิบายลักษณะของภาพให้ชัดเจนที่สุด",
        ),
    )
)
register(
    Language(
        code="vi",
        name="Vietnamese",
        native_name="Tiếng Việt",
        scripts=("Latn",),
        normalizer=normalize_vietnamese,
        lid=frozenset({"vi"}),
        translation=(("google", "vi"), ("microsoft", "vi"), ("libre", "vi"), ("nllb", "vie_Latn"), ("madlad", "vi")),
        know_prompts=(
            "Đây là gì?",
            "Thứ trong ảnh được gọi là gì?",
            "Hãy gọi tên thứ bạn thấy trong ảnh.",
            "Trong ảnh này có gì? Hãy trả lời ngắn gọn.",
            "Hãy viết văn bản thay thế ngắn cho bức ảnh này.",
            "Hãy đặt văn bản thay thế cho ảnh.",
            "Chú thích nào phù hợp với bức ảnh này?",
            "Hãy viết một chú thích ngắn nêu tên thứ có trong ảnh.",
            "Ai hoặc cái gì xuất hiện trong ảnh?",
            "Hãy cho biết tên của thứ được chụp trong ảnh.",
        ),
        ling_prompts=(
            "Hãy mô tả bức ảnh này.",
            "Hãy mô tả chi tiết bức ảnh này.",
            "Hãy mô tả những gì thấy được trong ảnh bằng vài câu.",
            "Bức ảnh này trông như thế nào?",
            "Hãy viết một đoạn mô tả chi tiết về bức ảnh.",
            "Hãy mô tả màu sắc và hình dạng trong ảnh này.",
            "Hãy kể chi tiết bức ảnh trông ra sao.",
            "Hãy mô tả đầy đủ bức ảnh này.",
            "Có thể thấy những chi tiết nào trong ảnh?",
            "Hãy mô tả thật chính xác vẻ ngoài của bức ảnh.",
        ),
    )
)
