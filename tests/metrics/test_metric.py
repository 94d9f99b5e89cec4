"""The whole metric: what must not change a score, what identical texts score, and what is refused."""

import random
import warnings
from dataclasses import replace
from typing import Any

import pytest
import Stemmer
from hypothesis import given, settings
from hypothesis import strategies as st

from mella_hf import languages
from mella_hf.errors import MellaError, UnknownLanguageError
from mella_hf.metrics import MellaMetric, compare
from mella_hf.metrics.installed import all_scores
from mella_hf.metrics.metric import floor_partners
from mella_hf.metrics.texts.sequences import Lazy
from mella_hf.text.spelling import spelling_version

REFERENCES = [
    "Turisté stojí na Karlově mostě a dívají se na Pražský hrad.",
    "Dětská hračka s Krtkem leží na dřevěném stole.",
    "Na talíři je svíčková s knedlíky a brusinkami.",
    "Zámek v Českém Krumlově se zrcadlí v řece Vltavě.",
]
KEYWORDS = [["Karlův most", "Pražský hrad"], ["Krtek"], [], ["Český Krumlov"]]
PREDICTIONS = ["Lidé na Karlově mostě.", "", "Talíř s jídlem na stole.", "Zámek v Krumlově nad řekou."]


def compute(predictions=PREDICTIONS, references=REFERENCES, keywords=KEYWORDS, language="cs", **settings):
    return MellaMetric(language, **settings).compute(predictions=predictions, references=references, keywords=keywords)


def test_the_order_of_items_changes_nothing() -> None:
    before = compute()
    items = list(zip(PREDICTIONS, REFERENCES, KEYWORDS, strict=True))
    for seed in range(5):
        random.Random(seed).shuffle(items)
        assert compute(*map(list, zip(*items, strict=True))) == before


TEXTS = st.lists(st.sampled_from([*REFERENCES, *PREDICTIONS[2:], "Hrad", "most"]), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(TEXTS, st.randoms(use_true_random=False))
def test_scores_stay_in_range_and_ignore_order(references: list[str], shuffler: random.Random) -> None:
    predictions = [text[: len(text) // 2] for text in references]
    metric = MellaMetric("cs", resamples=50)
    items = list(zip(predictions, references, strict=True))
    result = metric.compute(predictions=predictions, references=references)
    for name in ("bleu", "chrf", "rouge_l", "meteor"):
        assert 0.0 <= result[f"{name}_low"] <= result[f"{name}_high"] <= 100.0
        assert 0.0 <= result[name] <= 100.0
    shuffler.shuffle(items)
    predictions, references = map(list, zip(*items, strict=True))
    assert metric.compute(predictions=predictions, references=references) == result


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("cs", REFERENCES),
        ("ko", ["창덕궁의 후원을 걷는 사람들이 보인다.", "식탁 위의 김치찌개를 보여 주는 사진이다."]),
        ("th", ["ภาพถ่ายวัดพระแก้วในกรุงเทพมหานครยามเย็น", "ชามต้มยำกุ้งร้อนวางอยู่บนโต๊ะไม้"]),
        ("ar", ["صورة للمسجد النبوي في المدينة المنورة", "فنجان من القهوة العربية على الطاولة"]),
    ],
)
def test_identical_texts_score_100(language: str, texts: list[str]) -> None:
    result = compute(texts, texts, None, language)
    for name in ("bleu", "chrf", "rouge_l", "meteor"):
        assert result[name] == 100.0
        assert result[f"{name}_floor"] < 50.0
    assert result["length_ratio"] == 1.0 and result["degenerate_rate"] == 0.0


def test_serbian_scripts_score_the_same() -> None:
    cyrillic = "Туристи стоје на мосту и гледају тврђаву изнад реке Дунав."
    latin = "Turisti stoje na mostu i gledaju tvrđavu iznad reke Dunav."
    reference = ["Туристи гледају стару тврђаву на брду изнад Дунава."]
    one, other = (compute([text], reference, [["Дунав"]], "sr") for text in (cyrillic, latin))
    same = [name for name in all_scores() if name != "chrf"]  # which is of the texts as they come
    assert {k: one[k] for k in same} == {k: other[k] for k in same}
    assert one["chrf"] > other["chrf"]


def test_empty_predictions_count_as_zero() -> None:
    half = compute([REFERENCES[0], ""], REFERENCES[:2], None)
    assert half["rouge_l"] == half["meteor"] == 50.0 and half["empty_rate"] == 0.5 and half["n"] == 2


def test_keyword_accuracy_is_micro_and_macro() -> None:
    # Hits: 1 of 2, 0 of 1, none asked, 0 of 1 (Krumlov alone is not Český Krumlov): 1/4 and (1/2 + 0 + 0) / 3.
    result = compute()
    assert result["keyword_micro"] == 25.0 and result["keyword_macro"] == pytest.approx(100 / 6, abs=1e-4)
    assert 0.0 <= result["keyword_micro_low"] <= 25.0 <= result["keyword_micro_high"] <= 100.0


def test_without_keywords_there_is_no_keyword_accuracy() -> None:
    for keywords in (None, [[], [], [], []], [None] * 4):
        result = compute(keywords=keywords)
        assert all(result[f"keyword_micro{end}"] is None for end in ("", "_low", "_high", "_floor"))


def test_the_floor_is_another_images_reference() -> None:
    assert floor_partners(["a", "b", "c"]).tolist() == [1, 2, 0]
    groups = ["a", "a", "b", "b", "c"]
    assert all(groups[i] != groups[j] for i, j in enumerate(floor_partners(groups)))
    assert floor_partners(["a"]).tolist() == [-1] and floor_partners(["a", "a"]).tolist() == [-1, -1]
    assert compute(REFERENCES[:1], REFERENCES[:1], None)["bleu_floor"] is None
    template = ["Obrázek ukazuje psa.", "Obrázek ukazuje dům."]
    # The other reference shares two of three words, in one chunk: half of the score is template.
    assert compute(template, template, None)["rouge_l_floor"] == pytest.approx(200 / 3, abs=1e-4)


def test_the_floor_asks_for_the_other_images_names() -> None:
    # Both answers say their own name; neither says the other's, so the floor of keyword accuracy is 0, not 100.
    references = ["Na obrázku je Karlův most.", "Na obrázku je Krtek."]
    result = compute(references, references, [["Karlův most"], ["Krtek"]])
    assert result["keyword_micro"] == 100.0 and result["keyword_micro_floor"] == 0.0


def test_processes_change_nothing() -> None:
    many = [f"{text} {i}" for i in range(50) for text in REFERENCES]
    assert compute(many, many[::-1], None, workers=2) == compute(many, many[::-1], None, workers=1)


def test_two_runs_are_equal_to_the_digit() -> None:
    # Pinned: a change here is a new version of the metric (mella_hf.metrics.metric.VERSION).
    result = compute()
    assert result == compute()
    stemmer = f"czech-{Stemmer.version()}"
    assert result["signature"].startswith(f"mella|v:7|lang:cs|norm:text|tok:words|stem:{stemmer}|bleu:corpus,exp|chrf:")
    assert result["signature"].endswith(f"|kw:micro,stem,ci:exact,{spelling_version()}|n:4|bs:1000|seed:12345")


def test_items_come_in_the_callers_order() -> None:
    result = MellaMetric("cs").compute(
        predictions=PREDICTIONS, references=REFERENCES, keywords=KEYWORDS, return_items=True
    )
    assert [row["empty"] for row in result["items"]] == [False, True, False, False]
    assert [row["keywords"] for row in result["items"]] == [2, 1, 0, 1]
    assert [row["keyword_hits"] for row in result["items"]] == [1, 0, 0, 0]
    assert [row["keyword_micro"] for row in result["items"]] == [50.0, 0.0, None, 0.0]
    assert [row["language"] for row in result["items"]] == ["und", "und", "und", "cs"]  # 18, 0, 19 and 22 letters
    assert result["rouge_l"] == pytest.approx(sum(row["rouge_l"] for row in result["items"]) / 4, abs=1e-3)


def test_rouge_score_reverses_a_russian_ranking_and_this_does_not() -> None:
    # The example of docs/metrics.md. By hand: LCS 7 of 8 and 11 words (14/19), and 3 of 5 and 11 (6/16).
    from rouge_score.rouge_scorer import RougeScorer

    reference = "Автомобиль Volkswagen Beetle 1967 года стоит у Большого театра в Москве."
    right, loop = "Старый автомобиль стоит у Большого театра в Москве.", "Volkswagen Beetle 1967 1967 1967"
    usual = [RougeScorer(["rougeL"]).score(reference, text)["rougeL"].fmeasure for text in (right, loop)]
    ours = [compute([text], [reference], None, "ru")["rouge_l"] for text in (right, loop)]
    assert usual == [0.0, pytest.approx(0.75)]
    assert ours == [pytest.approx(1400 / 19, abs=1e-4), 37.5]


REFUSED = [
    ({"predictions": PREDICTIONS[:3]}, "3 predictions and 4 references"),
    ({"keywords": KEYWORDS[:2]}, "4 predictions and 2 keyword lists"),
    ({"predictions": [], "references": [], "keywords": []}, "list of predictions is empty"),
    ({"predictions": [None, *PREDICTIONS[1:]]}, "prediction of item 0 is None"),
    ({"references": [*REFERENCES[:3], " "]}, "reference of item 3 is empty"),
    ({"keywords": ["Karlův most", [], [], []]}, "keywords of item 0 are the text"),
    ({"keywords": [["Praha", 7], [], [], []]}, "keyword of item 0 is 7"),
    ({"predictions": "abcd"}, "^The predictions are a str; give lists with one text per item"),
    ({"references": "abcd"}, "^The references are a str; give lists with one text per item"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_refused(change: dict, message: str) -> None:
    with pytest.raises(MellaError, match=message):
        compute(**change)


def test_references_in_another_language_are_refused(outputs) -> None:
    rows = outputs("cs", "base")
    with pytest.raises(MellaError, match=r"of \d+ references are not in Hungarian \(hu\); they look like cs"):
        compute([r["prediction"] for r in rows], [r["reference"] for r in rows], None, "hu")


def test_short_references_in_another_language_are_refused_together() -> None:
    short = ["чайка", "красная рыба", "старый мост", "снег и лёд", "зелёное яблоко", "русская печь"]
    with pytest.raises(MellaError, match="short references together are not in Czech"):
        compute(short, short, None)
    unchecked = MellaMetric("cs").compute(predictions=short, references=short, check_references=False)
    assert unchecked["rouge_l"] == 100.0


def test_references_can_be_checked_before_anything_is_answered() -> None:
    metric = MellaMetric("cs")
    short = ["чайка", "красная рыба", "старый мост", "снег и лёд", "зелёное яблоко", "русская печь"]
    with pytest.raises(MellaError, match="short references together are not in Czech"):
        metric.check_references(short)
    metric.check_references(short, languages=False)
    metric.check_references(REFERENCES, KEYWORDS)
    metric.check_references(short, [[text] for text in short])  # names alone are in no language
    for languages_too in (True, False):
        with pytest.raises(MellaError, match="reference"):
            metric.check_references([*REFERENCES, "..."], languages=languages_too)
        with pytest.raises(MellaError, match="^(The )?references "):
            metric.check_references("a text", languages=languages_too)  # type: ignore[arg-type]


def test_a_subset_has_the_scores_of_its_items_and_the_floors_of_the_whole() -> None:
    metric = MellaMetric("cs", resamples=0)
    asked = {"predictions": PREDICTIONS, "references": REFERENCES, "keywords": KEYWORDS}
    whole = metric.statistics(**asked)
    part = whole.subset([2, 0])
    alone = metric.score(metric.statistics(**{name: [values[2], values[0]] for name, values in asked.items()}))
    scores = metric.score(part)
    assert len(part) == 2 and part.table() == [whole.table()[2], whole.table()[0]]
    for name in set(all_scores()) - {"cider"}:  # its weights are those of the whole corpus
        assert scores[name] == alone[name], name
    assert scores["signature"].startswith(whole.signature) and part.has_floor == whole.has_floor
    # The floor of one item is its answer against another reference; alone, it has none.
    single = metric.score(whole.subset([0]))
    assert single["rouge_l_floor"] is not None
    lone = metric.statistics(**{name: values[:1] for name, values in asked.items()})
    assert metric.score(lone)["rouge_l_floor"] is None


def test_the_repr_tells_the_signature() -> None:
    metric = MellaMetric("cs")
    assert repr(metric) == f"MellaMetric('cs'): {metric.signature}" and "|lang:cs|" in metric.signature
    assert repr(MellaMetric("th", protocol="paper")).startswith(
        "MellaMetric('th'): mella|protocol:paper|NOT COMPARABLE|"
    )


@pytest.mark.parametrize(
    ("language", "given", "message"),
    [
        ("cs", {"meteor": "wordnet"}, "Unknown meteor 'wordnet'; choose one of exact+stem, nltk."),
        ("cs", {"keyword_mode": "lemma"}, "Unknown keyword mode 'lemma'; choose one of exact, stem, fuzzy."),
        ("cs", {"protocol": "other"}, "Unknown protocol 'other'; choose one of mella, paper."),
        ("cs", {"resamples": -1}, "The number of resamples is -1; give a whole number, 0 for no intervals."),
        ("cs", {"resamples": 9.5}, "The number of resamples is 9.5; give a whole number, 0 for no intervals."),
        (
            "ko",
            {"keyword_plain": True},
            "Korean is not written in Latin letters, so keyword_plain does nothing; leave it out.",
        ),
        (
            "cs",
            {"answer_cleaning": True, "protocol": "paper"},
            "The paper's protocol cleans answers in its own way; leave answer_cleaning out.",
        ),
    ],
)
def test_unknown_settings(language: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(MellaError) as caught:
        MellaMetric(language, **given)
    assert str(caught.value) == message


def test_an_unknown_language() -> None:
    with pytest.raises(UnknownLanguageError, match="'xx'; choose one of ar, cs"):
        MellaMetric("xx")


def test_the_signature_says_what_differs_from_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = MellaMetric("cs").signature
    assert MellaMetric("cs", answer_cleaning=True, keywords_by="ner:ORG").signature == f"{plain}|clean:1|kwby:ner:ORG"
    drafted = replace(languages.get_language("cs"), code="qqq", prompts_by="draft", lid=frozenset({"qqq"}))
    languages.register(drafted)
    try:
        assert MellaMetric("qqq").signature.endswith("|prompts:draft|lid:none")
    finally:
        languages.unregister("qqq")
    asked = {"predictions": PREDICTIONS, "references": REFERENCES}
    by = ["rules-1", None, "ner:ORG", "rules-1"]
    assert MellaMetric("cs").statistics(**asked, keywords_by=by).signature == f"{plain}|kwby:ner:ORG,rules-1"
    with monkeypatch.context() as patch:
        patch.setattr("mella_hf.metrics.metric.identifier_name", lambda: "/models/other.bin")
        assert MellaMetric("cs").signature == f"{plain}|lid:other.bin"
    told = MellaMetric("cs", keywords_by="me")
    assert told.statistics(**asked, keywords_by=by).signature == told.signature == f"{plain}|kwby:me"


def test_answers_are_scored_without_what_is_no_answer() -> None:
    thought = [f"<think>Co to je?</think>{text}" for text in PREDICTIONS]
    with pytest.warns(UserWarning) as warned:
        unclean = compute(thought)
    assert [str(warning.message) for warning in warned] == [
        '100% of the answers have <think> blocks, "Answer:" or Markdown, which are scored as words; '
        "--answer-cleaning, in Python MellaMetric(answer_cleaning=True), leaves them out."
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clean = compute(thought, answer_cleaning=True)
        plain = compute()
    assert {name: clean[name] for name in all_scores()} == {name: plain[name] for name in all_scores()}
    assert unclean["rouge_l"] < plain["rouge_l"]
    metric = MellaMetric("cs", answer_cleaning=True)
    lazy = metric.answers(Lazy(4, lambda at: thought[at]))
    assert isinstance(lazy, Lazy) and len(lazy) == 4 and list(lazy) == metric.answers(thought) == PREDICTIONS
    assert MellaMetric("cs").answers(thought) is thought


def test_a_twentieth_of_the_answers_is_enough_for_a_warning() -> None:
    answers = ["Talíř s jídlem."] * 19
    metric = MellaMetric("cs", resamples=0)
    with pytest.warns(UserWarning, match="^5% of the answers"):
        metric.statistics(predictions=[*answers, "<think>Co?</think>Talíř."], references=REFERENCES * 5)


def test_one_item_has_no_floor_and_no_interval_over_it() -> None:
    result = compute(PREDICTIONS[:1], REFERENCES[:1], KEYWORDS[:1])
    for name in all_scores():
        assert result[f"{name}_floor"] is result[f"{name}_over_floor_low"] is result[f"{name}_over_floor_high"] is None
    assert result["keyword_micro_low"] is not None


def test_another_seed_draws_other_resamples() -> None:
    ends = {compute(seed=seed, resamples=50)["rouge_l_low"] for seed in range(4)}
    assert len(ends) > 1


def test_the_papers_protocol_has_its_own_scores_alone() -> None:
    result = compute(protocol="paper")
    assert set(result) == {"bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "meteor", "n", "signature"}
    assert result["n"] == 4 and result["signature"].startswith("mella|protocol:paper|NOT COMPARABLE|")
    for change, message in REFUSED[:2]:
        with pytest.raises(MellaError, match=message):
            compute(protocol="paper", **change)


def test_without_resamples_only_scores_that_count_have_intervals() -> None:
    result = compute(resamples=0)
    assert result["keyword_micro_low"] is not None and result["keyword_micro_low"] < 25 < result["keyword_micro_high"]
    assert all(result[f"{name}_{end}"] is None for name in ("bleu", "rouge_l") for end in ("low", "high"))
    assert result["rouge_l_over_floor_low"] is None and result["rouge_l_floor"] is not None
    assert result["signature"].endswith("|n:4|bs:0|seed:12345")


def test_rates_and_lengths_by_hand() -> None:
    """One of four answers is empty, one is a loop; 1 + 0 + 9 + 2 words over 2 + 2 + 2 + 2."""
    references = ["Černý pes", "Bílá kočka", "Starý most", "Nový dům"]
    loop = " ".join(["most"] * 9)
    result = compute(["pes", "", loop, "Nový dům"], references, None, resamples=0)
    assert result["empty_rate"] == 0.25 and result["loop_rate"] == 0.25 and result["degenerate_rate"] == 0.5
    assert result["length_ratio"] == 1.5 and result["n"] == 4
    items = MellaMetric("cs").statistics(predictions=[loop, "pes"], references=references[:2]).table()
    assert [row["loop"] for row in items] == [True, False] and items[1]["repetition_share"] == 0.0
    assert items[0]["repetition_share"] == 0.8333  # 9 words are 6 times 4 words, all but one of them repeated
    assert items[0]["keyword_hits"] == items[0]["keywords"] == 0 and items[0]["keyword_micro"] is None


def test_a_language_is_one_entry() -> None:
    czech = languages.get_language("cs")
    languages.register(
        replace(czech, code="qu", name="Quechua", native_name="Runasimi", stemmer=None, lid=frozenset({"qu"}))
    )
    texts = ["Urqupi wasiqa hatunmi kachkan", "Mayupi challwakuna kachkan"]
    try:
        result = MellaMetric("qu").compute(predictions=texts, references=texts, check_references=False)
    finally:
        languages.unregister("qu")
    assert result["bleu"] == 100.0 and "lang:qu" in result["signature"]


def test_compare_refuses_what_does_not_pair() -> None:
    metric = MellaMetric("cs")
    one = metric.statistics(predictions=PREDICTIONS, references=REFERENCES)
    other = metric.statistics(predictions=PREDICTIONS[::-1], references=REFERENCES[::-1])
    with pytest.raises(MellaError, match="same references"):
        compare(one, other)
    exact = MellaMetric("cs", keyword_mode="exact").statistics(predictions=PREDICTIONS, references=REFERENCES)
    with pytest.raises(MellaError, match="different signatures"):
        compare(one, exact)


@pytest.mark.parametrize("name", ["predictions", "references"])
def test_one_text_for_a_list_is_named_by_its_argument(name: str) -> None:
    given = {"predictions": ["Hrad"], "references": ["Hrad"], name: "a"}
    doors = MellaMetric("cs").compute, MellaMetric("cs", protocol="paper").compute, MellaMetric("cs").statistics
    for door in doors:
        with pytest.raises(MellaError, match=f"^The {name} are a str; give lists"):
            door(**given)


def test_references_are_checked_unless_one_says_no() -> None:
    wrong = ["The castle stands above the river and the people are looking at it."] * 40
    metric = MellaMetric("cs", resamples=20)
    with pytest.raises(MellaError):
        metric.statistics(predictions=wrong, references=wrong)
    counted = metric.statistics(predictions=wrong, references=wrong, check_references=False)
    assert metric.score(counted)["reference_wrong_language_rate"] == 1.0
    assert len(counted.subset([])) == 0 and len(counted.subset([3, 5])) == 2


def test_plain_keywords_are_for_languages_in_latin_letters() -> None:
    assert ",plain," in MellaMetric("vi", keyword_plain=True).signature


def test_half_of_a_character_is_scored_as_it_stands() -> None:
    """Half of a surrogate pair, as a server sends it that cuts an answer within an emoji."""
    assert compute(["Hrad \ud83d"], ["Hrad nad řekou stojí."], None)["rouge_l"] > 0


def test_an_answer_that_repeats_its_prompt_is_one_of_the_given_prompts() -> None:
    turn = "Pověz mi prosím, co všechno je na této fotografii vidět."
    given = {"predictions": [turn, PREDICTIONS[0]], "references": REFERENCES[:2]}
    metric = MellaMetric("cs", resamples=20)
    assert metric.compute(**given)["prompt_copy_rate"] == 0.0
    assert metric.compute(**given, prompts=[turn])["prompt_copy_rate"] == 0.5


def test_keywords_can_be_matched_fuzzily() -> None:
    assert "fuzzy" in MellaMetric("cs", keyword_mode="fuzzy").signature
