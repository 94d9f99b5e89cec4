"""Find names in Arabic alt-texts, where no capital letter marks them.

A person is found by the given name, a place by the word for its kind (mosque, castle).

The word lists below were written for this library, from everyday use.
"""

from collections.abc import Iterator, Sequence
from functools import cache

from mella_hf.languages import Language

# What a sight is, which is part of its name: برج خليفة, قلعة حلب.
_SIGHTS = """
برج قلعة جامع مسجد قصر سوق جبل شارع ميدان متحف جسر بحيرة معبد جزيرة
باب كنيسة مطار جامعة ساحة واحة وادي خليج كاتدرائية دير ضريح
مقام كوبري نهر هرم ملعب فندق مضيق حصن استاد مئذنة رأس كورنيش مكتبة مرفأ حي
""".split()
# What is not part of the name of what follows: مدينة مراكش.
_KINDS = "مدينة محافظة دولة قرية بلدة منطقة ولاية إمارة مملكة جمهورية عاصمة المدينة نادي منتخب فريق مشهد".split()
# The same with the article, before an adjective of a name: المسجد الأموي.
_DEFINITE = "المسجد الجامع الحرم القصر البرج المتحف السد الجسر البحر الخليج الصحراء المحيط المدرسة الكعبة".split()
# Ordinary words after what a sight is: باب البيت, سوق الخضار, جبل عال.
_ORDINARY = """
بعيد بعيدة قريب قريبة
البيت المنزل القرية المدينة الخضار الخضروات الفواكه السمك المشاة البحر الحيوان الحيوانات الأطفال الرمل الغرفة
السيارة المدرسة المسجد الكنيسة الذهب الطعام الملابس الحي البلدة النهر المحل المطبخ المطعم الفندق الحديقة الشمس
القمر الطيور الزهور الألعاب كبير كبيرة صغير صغيرة قديم قديمة جديد جديدة عال عالي عالية جميل جميلة خشبي حديدي
كرة حجري حجرية مفتوح مغلق مزدحم مزدحمة ضيق واسع أثري أثرية تاريخي تاريخية شعبي تقليدي أبيض أسود أحمر أخضر أزرق في
من على إلى عن مع عند أمام خلف تحت فوق بين قرب بجانب وسط حول ليلا نهارا مساء صباحا و أو ثم هو هي التي الذي هذا
هذه كل بعض يوم قبل بعد داخل خارج بلا أو جدا الكبير الكبيرة القديم القديمة الجديد الجديدة الجميل الجميلة الصغير
الصغيرة أثناء خلال حيث عندما بينما الرئيسي الرئيسية العام العامة الأثري الأثرية
""".split()
_GIVEN = """
محمد أحمد محمود مصطفى علي حسن حسين عمر عثمان خالد طارق يوسف إبراهيم إسماعيل موسى عيسى داود سليمان فيصل سلمان
سعود تركي نايف بندر ماجد وليد زياد سامي رامي هاني عادل كريم أنور جمال كمال نبيل نجيب صلاح صالح سعد سعيد فهد
فؤاد فريد رشيد ياسر ياسين عمرو حمزة بلال أسامة أيمن أشرف حازم حسام عصام هشام وائل باسم باسل بشار حافظ حليم
معمر قابوس زايد راشد مكتوم حمدان منصور ناصر طه زكريا عدنان غسان مروان نزار جورج ميشال إلياس بطرس جبران ميخائيل
إدوارد طلال غازي سمير منير أمين رفيق فاطمة عائشة خديجة مريم زينب ليلى سلمى سميرة فيروز نانسي هيفاء نوال أسماء
أصالة شيرين ماجدة وردة صباح سعاد فاتن شادية يسرا نجاة رانيا حنان لطيفة سميحة نجوى إليسا أحلام بلقيس أنغام رياض
نادية سامية هند رقية سارة لجين ياسمين
""".split()
_ALONE = "فيروز نانسي هيفاء إليسا أصالة بلقيس يسرا نانسي".split()  # given names that are no other word
_STARTS = "عبد أبو أبا أبي أم ابن بن آل".split()  # names of two words and more: عبد الحليم, أم كلثوم
_BETWEEN = ("بن", "ابن", "بنت", "أبو", "عبد", "آل", "الدين")
# Places that films speak of often, or whose names are other words too.
_PLACES = """
القدس الأقصر أسوان بعلبك فاس البصرة الموصل طرابلس صنعاء عدن مكة المدينة_المنورة الكويت البحرين قطر عمان لبنان
سوريا مصر العراق الأردن فلسطين غزة الخليل نابلس يافا حيفا عكا صيدا صور البتراء تدمر الجيزة بورسعيد السويس
دمياط الفيوم سيناء الرباط الدار_البيضاء طنجة تطوان أغادير وهران قسنطينة عنابة تلمسان تونس القيروان صفاقس سوسة
بنغازي الخرطوم أم_درمان نواكشوط الدوحة المنامة مسقط صلالة أبها الطائف جدة الدمام الظهران العلا
""".split()
# What a person is, before the name, and what somebody is the head of: وزير الخارجية.
_PROFESSIONS = """
الكاتب الكاتبة الشاعر الشاعرة الفنان الفنانة المطرب المطربة المغني المغنية اللاعب اللاعبة المخرج المخرجة الممثل الممثلة
الوزير الوزيرة الرئيس الروائي الروائية الرسام الرسامة المهندس المهندسة الدكتور الدكتورة المدرب النجم النجمة الصحفي
الصحفية الإعلامي الإعلامية السفير السفيرة النحات المصور المصورة
""".split()
_HEADS = "وزير وزيرة رئيس رئيسة مدير مديرة سفير سفيرة".split()
# What an institution or a festival is, which is part of its name.
_INSTITUTIONS = """
منظمة مؤسسة وزارة جمعية اتحاد مهرجان مهرجانات حزب بنك وكالة صحيفة قناة معهد أكاديمية دار نقابة هيئة
""".split()
_STREETS = "ساحة شارع ميدان حي محطة باب".split()  # named after other sights
_TITLES = "الملك الأمير الأميرة الشيخ السلطان الإمام السيدة السيد الشهيد الرئيس الملكة".split()
_ORDINALS = "الأول الثاني الثالث الرابع الخامس السادس".split()  # of kings
_LONGEST = 4  # words of a person's name


@cache
def _normalized(words: tuple[str, ...], language: Language) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(map(language.normalizer, word.split("_"))) for word in words)


class _Words:
    """The lists as the language's normaliser writes them."""

    def __init__(self, language: Language):
        def known(words: Sequence[str]) -> frozenset[str]:
            return frozenset(map(language.normalizer, words))

        self.sights, self.kinds, self.definite = known(_SIGHTS), known(_KINDS), known(_DEFINITE)
        self.ordinary, self.given, self.alone = known(_ORDINARY), known(_GIVEN), known(_ALONE)
        self.starts, self.between = known(_STARTS), known(_BETWEEN)
        self.places = _normalized(tuple(_PLACES), language)
        self.streets, self.titles, self.ordinals = known(_STREETS), known(_TITLES), known(_ORDINALS)
        self.article = "ال"
        places = {place[0] for place in self.places}
        self.professions, self.heads = known(_PROFESSIONS), known(_HEADS)
        self.institutions = known(_INSTITUTIONS)
        self.openers = self.sights | self.definite | self.given | self.starts | places


@cache
def _words(language: Language) -> _Words:
    return _Words(language)


def arabic_names(words: Sequence[str], breaks: frozenset[int], language: Language) -> Iterator[tuple[int, int]]:
    """The places [first, end) of names among normalised words.

    Args:
        breaks: the words that something other than a space stands before, where a name cannot go on.
    """
    known = _words(language)
    for at, word in enumerate(words):
        if (person := _professional(words, at, breaks, known)) is not None:
            yield person
        if word in known.institutions and (end := _institution_end(words, at, breaks, known)) is not None:
            yield at, end
        if word not in known.openers:
            continue
        ends = _person_end(words, at, breaks, known), _sight_end(words, at, breaks, known)
        yield from ((at, end) for end in ends if end)
        for length in (2, 1):
            place = tuple(words[at : at + length])
            if len(place) == length and place in known.places:
                yield at, at + length
                break


def is_ordinary(word: str, language: Language) -> bool:
    """Whether a word is none of a name by itself, however seldom it is said."""
    known = _words(language)
    return word in known.sights or word in known.ordinary


def is_kind(word: str, language: Language) -> bool:
    """Whether a word says what the place after it is: مدينة, which is also a town's name, but not in an alt-text."""
    return word in _words(language).kinds


def _person_end(words: Sequence[str], at: int, breaks: frozenset[int], known: _Words) -> int | None:
    """The end of a person's name that begins here; None for none."""
    if words[at] in known.starts and at + 1 < len(words) and at + 1 not in breaks and words[at] != "ام":
        end = at + 2
    elif words[at] == "ام" and at + 1 < len(words) and not words[at + 1].startswith(known.article):
        end = at + 2 if words[at + 1] not in known.ordinary else at
    elif words[at] in known.given:
        end = at + 1
    else:
        return None
    while end < len(words) and end - at < _LONGEST and end not in breaks and _goes_on(words, end, known):
        end += 2 if words[end] in known.between and end + 1 < len(words) else 1
    return end if end - at > 1 or words[at] in known.alone else None


def _professional(words: Sequence[str], at: int, breaks: frozenset[int], known: _Words) -> tuple[int, int] | None:
    """The two words of a person's name after what the person is: للفنان جواد سليم, وزير الخارجية سامح شكري."""
    word, after = words[at], at + 1
    if word in known.heads:
        if after >= len(words) or not words[after].startswith(known.article):
            return None
        after += 1
    elif word not in known.professions and not (word.startswith("لل") and "ا" + word[1:] in known.professions):
        return None
    while after < len(words) and words[after].startswith(known.article) and words[after].endswith(_RELATIVE):
        after += 1  # of which country: الكاتب المصري
    end = after + 2
    if end < len(words) and words[end - 1] in known.between:
        end += 1  # كوثر بن هنية
    if end > len(words) or any(part in breaks for part in range(at + 1, end)):
        return None
    if not all(_goes_on(words, part, known) for part in range(after, end)):
        return None
    if words[after + 1].startswith(known.article) and words[after] not in known.given:
        return None  # "the writer, owner of the house"
    return after, end


_RELATIVE = ("ي", "يه", "ية")


def _institution_end(words: Sequence[str], at: int, breaks: frozenset[int], known: _Words) -> int | None:
    """The end of an institution's name, with the adjectives after it: منظمة الصحة العالمية; None for none."""
    end = at + 1
    if end >= len(words) or end in breaks or words[end] in known.ordinary:
        return None
    if not words[end].startswith(known.article) and (words[end],) not in known.places:
        return None
    end += 1
    while end < len(words) and end not in breaks and words[end].startswith(known.article):
        if not words[end].endswith(_RELATIVE) or words[end] in known.ordinary:
            break
        end += 1
    return end


def _goes_on(words: Sequence[str], at: int, known: _Words) -> bool:
    word = words[at]
    if word in known.given or word in known.between:
        return True
    if word in known.ordinary or word in known.kinds or word in known.sights or len(word) < 3:
        return False
    # Not a verb in the present, nor a word with a preposition.
    return word[0] not in "يتبلوف" or word.startswith(known.article)


def _sight_end(words: Sequence[str], at: int, breaks: frozenset[int], known: _Words) -> int | None:
    """The end of a sight's name that begins with what it is; None for none."""
    after = at + 1
    if after >= len(words) or after in breaks or words[after] in known.ordinary:
        return None
    if words[at] in known.sights:
        if words[after] in known.sights:  # مئذنة جامع القرويين is جامع القرويين, but ساحة جامع الفنا is one
            return _sight_end(words, after, breaks, known) if words[at] in known.streets else None
        person = after + 1 if words[after] in known.titles and after + 1 not in breaks else after
        end = after + 1
        if person < len(words) and words[person] in known.given:  # one name is enough here: جسر الملك فهد
            end = person + 1
        if person < len(words):
            end = max(end, _person_end(words, person, breaks, known) or 0)
        if end < len(words) and end not in breaks and words[end] in known.ordinals:
            end += 1
        return end
    if words[at] in known.definite and words[after].startswith(known.article):
        return after + 1
    return None
