"""The metric behind `evaluate.load`, offline."""

from pathlib import Path

import pytest

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
