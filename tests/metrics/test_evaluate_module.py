"""The metric behind `evaluate.load`, offline."""

from pathlib import Path

import datasets
import pytest

from mella_hf.errors import MellaError

MODULE = Path(__file__).parents[2] / "mella_hf" / "metrics" / "mella.py"
PREDICTIONS = ["Turisté stojí na Karlově mostě.", "", "Talíř s jídlem."]
REFERENCES = ["Turisté stojí na Karlově mostě.", "Krtek na stole u okna.", "Na talíři je svíčková."]
KEYWORDS = [["Karlův most"], ["Krtek"], None]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        import evaluate

        cache = tmp_path_factory.mktemp("evaluate")
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", str(cache))
        yield evaluate.load(str(MODULE), cache_dir=str(cache))


def expected(keywords):
    from mella_hf.metrics import MellaMetric

    return MellaMetric("cs").compute(predictions=PREDICTIONS, references=REFERENCES, keywords=keywords)


def test_compute_is_the_metrics_own(module) -> None:
    assert module.compute(predictions=PREDICTIONS, references=REFERENCES, keywords=KEYWORDS, language="cs") == expected(
        KEYWORDS
    )
    assert module.compute(predictions=PREDICTIONS, references=REFERENCES, language="cs") == expected(None)


def test_batches_and_single_items_add_up(module) -> None:
    module.add_batch(predictions=PREDICTIONS[:2], references=REFERENCES[:2], keywords=KEYWORDS[:2])
    module.add(prediction=PREDICTIONS[2], reference=REFERENCES[2])
    assert module.compute(language="cs") == expected(KEYWORDS)


def test_different_lengths_are_refused(module) -> None:
    with pytest.raises(ValueError, match="3 predictions and 2 references"):
        module.compute(predictions=PREDICTIONS, references=REFERENCES[:2], language="cs")


def test_it_describes_itself(module) -> None:
    assert "2508.05502" in module.citation and "keyword_micro" in module.inputs_description
    assert set(module.features) == {"predictions", "references", "keywords"}


def test_references_are_checked_unless_told_otherwise(module) -> None:
    english = ["The children play behind the house", "An old woman buys apples", "Two boats lie in the harbour"]
    columns = {"predictions": english, "references": english, "language": "cs"}
    with pytest.raises(MellaError, match="3 of 3 references are not in Czech"):
        module.compute(**columns)
    assert module.compute(**columns, check_references=False)["bleu"] == 100.0


def test_metrics_are_combined_by_evaluate(module, tmp_path) -> None:
    """`evaluate.combine` hands all settings to all metrics, so the language is given to load."""
    import evaluate

    class Lengths(evaluate.Metric):
        def _info(self):
            texts = datasets.Value("string")
            features = datasets.Features({"predictions": texts, "references": texts})
            return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

        def _compute(self, predictions, references):
            return {"letters": sum(map(len, predictions))}

    czech = evaluate.load(str(MODULE), "cs", cache_dir=str(tmp_path))
    both = evaluate.combine([czech, Lengths(cache_dir=str(tmp_path))])
    letters = sum(map(len, PREDICTIONS))
    columns = {"predictions": PREDICTIONS, "references": REFERENCES}
    assert both.compute(**columns) == {**expected(None), "letters": letters}
    both.add_batch(**columns, keywords=[words or [] for words in KEYWORDS])
    assert both.compute() == {**expected(KEYWORDS), "letters": letters}
    for prediction, reference, words in zip(PREDICTIONS, REFERENCES, KEYWORDS, strict=True):
        both.add(prediction=prediction, reference=reference, keywords=words or [])
    assert both.compute() == {**expected(KEYWORDS), "letters": letters}
    with pytest.raises(KeyError, match="give keywords, an empty list for each item"):
        both.add_batch(**columns)
    with pytest.raises(MellaError, match="No language is given"):
        module.compute(**columns)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"prediction": None}, "prediction of item 0 is None; it must be a text"),
        ({"prediction": b"Hrad"}, "prediction of item 0 is b'Hrad'; it must be a text"),
        ({"reference": ["Hrad", "Hrady"]}, "give one text, not a list of 2"),
        ({"reference": ""}, "reference of item 0 is empty"),
        ({"keywords": "Krtek"}, "keywords of item 0 are the text 'Krtek'; give a list"),  # not five letters
    ],
)
def test_a_wrong_item_is_refused_in_one_line_by_every_door(module, item, message) -> None:
    given = {"prediction": "Hrad.", "reference": "Zámek.", "keywords": ["Krtek"]} | item
    columns = {
        "predictions": [given["prediction"]], "references": [given["reference"]], "keywords": [given["keywords"]]
    }  # fmt: skip
    for door in (
        lambda: module.add(**given),
        lambda: module.add_batch(**columns),
        lambda: module.compute(**columns, language="cs"),
    ):
        with pytest.raises(MellaError, match=message) as caught:
            door()
        assert "\n" not in str(caught.value)


def test_batches_need_no_keywords(module) -> None:
    module.add_batch(predictions=PREDICTIONS, references=REFERENCES)
    assert module.compute(language="cs") == expected(None)


def test_without_resamples_only_hits_have_intervals(module) -> None:
    result = module.compute(
        predictions=PREDICTIONS, references=REFERENCES, keywords=KEYWORDS, language="cs", resamples=0
    )
    assert result["bleu_low"] is None and result["keyword_micro_low"] is not None
