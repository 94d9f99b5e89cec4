"""Languages that are written without spaces are cut into words, or refused."""

import pytest

from mella_hf.errors import MellaError
from mella_hf.languages import Language
from mella_hf.metrics import MellaMetric
from mella_hf.metrics.matching import keyword_hits
from mella_hf.text.tokens import analyze, tokenize

# Words as dictionaries list them.
WORDS = {
    "ja": ("猫が寝ている写真。", "写真"),
    "zh": ("北京的故宫博物院", "故宫"),
    "km": ("នេះជារូបភាពប្រាសាទ", "រូបភាព"),
    "lo": ("ນີ້ແມ່ນຮູບພາບຂອງວັດ", "ຮູບພາບ"),
    "my": ("ဒါကဓာတ်ပုံဖြစ်ပါတယ်", "ဓာတ်ပုံ"),
}


@pytest.mark.parametrize(("code", "text", "word"), [(code, *pair) for code, pair in WORDS.items()])
def test_words_of_unspaced_languages(code: str, text: str, word: str) -> None:
    tokens = tokenize(text, code)
    assert word in tokens and len(tokens) > 2 and "".join(tokens) == analyze(text, code).normalized.replace(" ", "")


@pytest.mark.parametrize(
    ("code", "reference", "paraphrase", "other"),
    [
        ("ja", "白い猫がベッドで寝ています", "ベッドで寝ている白い猫です", "青い海に船が浮かんでいます"),
        ("zh", "一只白色的猫睡在床上", "床上睡着一只白色的猫", "蓝色的大海上有一艘船"),
        ("km", "ឆ្មាពណ៌សកំពុងគេងលើគ្រែ", "នៅលើគ្រែមានឆ្មាពណ៌សកំពុងគេង", "កប៉ាល់មួយនៅលើសមុទ្រ"),
    ],
)
def test_a_paraphrase_scores_above_another_sentence(code: str, reference: str, paraphrase: str, other: str) -> None:
    metric = MellaMetric(code, resamples=10)
    meteor = [
        metric.compute(predictions=[text], references=[reference], check_references=False)["meteor"]
        for text in (reference, paraphrase, other)
    ]
    assert meteor[0] > 90 and meteor[1] > 40 and meteor[2] < 25
    assert "|tok:icu-" in metric.signature


@pytest.mark.parametrize("code", ["ja", "my"])
def test_loops_are_seen(code: str) -> None:
    word = WORDS[code][1]
    scores = MellaMetric(code, resamples=10).compute(
        predictions=[word * 30], references=[WORDS[code][0]], check_references=False
    )
    assert scores["repetition_rate"] == scores["loop_rate"] == 1.0


def test_keywords_without_spaces() -> None:
    assert keyword_hits("東京都で撮影", ["京都"], "ja") == (0, 1)  # Kyoto is not in Tokyo Metropolis
    assert keyword_hits("京都で撮影", ["京都"], "ja") == (1, 1)
    assert keyword_hits("这是故宫博物院", ["故宫博物院", "长城"], "zh") == (1, 2)


def test_a_language_without_a_right_tokenizer_is_refused() -> None:
    tibetan = Language("bo", "Tibetan", "བོད་སྐད་", ("Tibt",), ("འདི་ག་རེ་རེད།",), ("པར་འདི་འགྲེལ་བཤད་གནང་།",))
    assert tibetan.tokenizer == "none"
    with pytest.raises(MellaError, match="Tibetan.*without spaces between words.*scores would mean nothing"):
        analyze("བོད་ཡིག", tibetan)
    shan = Language("shn", "Shan", "လိၵ်ႈတႆး", ("Mymr",), ("x",), ("y",))  # not Burmese: ICU has other words
    assert shan.tokenizer == "none"
