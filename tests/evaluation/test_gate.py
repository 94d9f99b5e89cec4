"""The gate on hand-made runs: what trips it, what the message names, and what it refuses."""

import pytest

from mella_hf.errors import MellaError
from mella_hf.evaluation.gate import Limit, check_gate, read_gate
from mella_hf.evaluation.run import Run


def make_run(**changed):
    """100 answers of an adapter; `changed` sets values of its know_test record."""
    score = {
        "model": "adapter", "split": "know_test", "subset": "all", "n": 100, "wrong_language_rate": 0.31,
        "repetition_rate": 0.02, "keyword_micro": 0.5, "meteor": 12.0, "meteor_low": 10.0, "meteor_floor": 9.0,
    }  # fmt: skip
    hallucination = {"entity_precision": 40.0, "hallucinating_rate": 0.6, "n": 100, "names": ["Praha", "Brno"]}
    finding = {
        "model": "adapter", "split": "know_test", "wrong_languages": {"ru": 25, "en": 6}, "repeating": ["f" * 64],
        "hallucination": hallucination,
    }  # fmt: skip
    return Run(
        folder=None, language="sr", models={"base": {}, "adapter": {}}, data={}, scores=[{**score, **changed}],
        training=None, versions={}, findings=[finding],
        predictions={("adapter", "know_test"): [{"id": "f" * 64, "prediction": "да да да да"}]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "changed", "message"),
    [
        (
            Limit("wrong_language_rate", max=0.05),
            {},
            "sr know_test: wrong_language_rate of adapter is 0.31, above 0.05 over 100 answers; "
            "instead in: ru 25, en 6",
        ),
        (
            Limit("repetition_rate", max=0.01),
            {},
            "sr know_test: repetition_rate of adapter is 0.02, above 0.01 over 100 answers; "
            "for instance image ffffffffffff: 'да да да да'",
        ),
        (
            Limit("keyword_micro", min=1.0),
            {},
            "sr know_test: keyword_micro of adapter is 0.5, below 1 over 100 answers",
        ),
        (
            Limit("hallucinating_rate", max=0.5),
            {},
            "sr know_test: hallucinating_rate of adapter is 0.6, above 0.5 over 100 answers; "
            "made up, for instance: Praha, Brno",
        ),
        (
            Limit("meteor", above="floor"),
            {"meteor_over_floor_low": -1.0},
            "sr know_test: meteor of adapter is 12, not shown to be above the floor 9 (from -1): no sign of the image",
        ),
        (
            Limit("keyword_micro", split="know_test", min=1.0),
            {"keyword_micro": None},
            "sr know_test: keyword_micro of adapter was not measured: nothing to count (are there keywords?)",
        ),
    ],
)
def test_a_broken_limit_says_what_and_where(limit, changed, message):
    assert check_gate([limit], {"sr": make_run(**changed)}) == [message]


def test_limits_that_are_kept_say_nothing():
    limits = [
        Limit("wrong_language_rate", max=0.31),
        Limit("keyword_micro", min=0.5),
        Limit("meteor", above="floor"),
        Limit("entity_precision", min=39.9),
    ]
    assert check_gate(limits, {"sr": make_run()}) == []


def test_a_limit_that_guards_nothing_is_an_error():
    for limit in (
        Limit("meteor", min=1, split="ling_test"),
        Limit("meteor", min=1, languages=("ar",)),
        Limit("bleu", min=1, model="other"),
    ):
        with pytest.raises(MellaError, match="applies to nothing that was evaluated"):
            check_gate([limit], {"sr": make_run()})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meteor: 3", "is not a list of limits"),
        ("- {metric: meteors, min: 1}", "Unknown metric 'meteors' in the gate; choose among bleu"),
        ("- {metric: meteor}", "has no bound"),
        ("- {metric: meteor, minimum: 1}", "unknown key 'minimum'"),
        ("- {metric: meteor, min: high}", "is 'high'; give a number"),
        ("- {metric: empty_rate, above: floor}", "only scores can have `above: floor`"),
        ("- {min: 1}", "has no metric"),
        ("- {metric: meteor, split: know, min: 1}", "Unknown split 'know'"),
        ("- [", "The gate .* cannot be read"),
    ],
)
def test_a_gate_that_is_none_is_one_clear_error(tmp_path, text, message):
    path = tmp_path / "gate.yaml"
    path.write_text(text)
    with pytest.raises(MellaError, match=message):
        read_gate(path)


def test_the_shipped_gate_is_read_and_trips_on_the_papers_failures():
    from mella_hf.files import recipe_path

    limits = read_gate(recipe_path("gate.yaml"))
    scored = dict.fromkeys(("wrong_script_rate", "empty_rate"), 0.0)
    run = make_run(**scored)
    run.scores.append({**run.scores[0], "split": "ling_test", "meteor_floor": 11.0})
    tripped = {line.split(":")[1].split()[0] for line in check_gate(limits, {"sr": run})}
    assert tripped == {"wrong_language_rate", "keyword_micro", "meteor"}
