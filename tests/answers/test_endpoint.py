"""Answers from a real HTTP server on loopback that speaks OpenAI's protocol."""

import pytest
from caption_server import CaptionServer

from mella_hf.answers.answers import read_meta, read_predictions
from mella_hf.answers.endpoint import Endpoint, endpoint_identity
from mella_hf.answers.predictions import answer_rows
from mella_hf.errors import MellaError


async def no_pause(seconds: float) -> None:
    """Tests do not wait."""


def run(server, rows, out, **settings):
    return answer_rows(
        Endpoint("mella-ar", [server.url], pause=no_pause),
        rows,
        language="ar",
        source="know",
        out=out,
        identity=endpoint_identity("org/base", "mella-ar"),
        progress=False,
        **{"batch_size": 4, **settings},
    )


def size_of(image, prompt):
    """An answer that says which image was seen: a stand-in for a model."""
    return f" {prompt} {image.width}x{image.height}\n"


def test_each_image_is_asked_about_once_and_gets_its_own_answer(make_rows, tmp_path):
    rows = make_rows(10)
    with CaptionServer(size_of) as server:
        out = run(server, rows, tmp_path / "p.jsonl")
        asked = [body for body, _ in server.requests]
    predictions = read_predictions(out)
    assert [p["id"] for p in predictions] == rows["id"][:]
    assert [p["prediction"] for p in predictions] == [f"ما هذا؟ {r['width']}x{r['height']}" for r in rows]
    assert len(asked) == 10
    assert {(b["model"], b["temperature"], b["max_tokens"]) for b in asked} == {("mella-ar", 0, 64)}
    assert read_meta(out)["adapter"] == "mella-ar" and read_meta(out)["parameters"] is None


def test_an_answer_that_was_cut_off_says_so(make_rows, tmp_path):
    with CaptionServer(lambda image, prompt: ("so far", "length")) as server:
        out = run(server, make_rows(1), tmp_path / "p.jsonl")
    assert read_predictions(out)[0]["truncated"] is True


def test_answers_before_a_failure_are_kept_and_not_asked_for_again(make_rows, tmp_path):
    rows, out = make_rows(6), tmp_path / "p.jsonl"
    refused = {(96, 80)}  # the first image: no server will ever answer about it

    def describe(image, prompt):
        return 400 if image.size in refused else size_of(image, prompt)

    with CaptionServer(describe) as server:
        with pytest.raises(MellaError, match=r"did not answer about 1 of 6 images \(status_400: .*as told"):
            run(server, rows, out, batch_size=6)
        assert not out.exists()
        refused.clear()
        before = len(server.requests)
        run(server, rows, out, batch_size=6)
        assert len(server.requests) == before + 1
    assert [p["prediction"] for p in read_predictions(out)] == [f"ما هذا؟ {r['width']}x{r['height']}" for r in rows]


@pytest.mark.parametrize(
    ("said", "noted"),
    [
        (None, "1"),
        (b'{"error": {"message": "Unrecognized request argument supplied: repetition_penalty"}}', "as served: refused"),
        (
            b'{"error": {"message": "BadRequestError: Error code: 422. No fallback was attempted."}}',
            "as served: refused",
        ),
        (b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "repetition_penalty"]}]}', "as served: refused"),
    ],
)
def test_a_repetition_penalty_of_one_is_asked_for_and_dropped_where_it_is_refused(make_rows, tmp_path, said, noted):
    def strict(body):
        return (422, said) if said and "repetition_penalty" in body else None

    with CaptionServer(size_of, refuse=strict) as server:
        out = run(server, make_rows(5), tmp_path / "p.jsonl")
        bodies = [body for body, _ in server.requests]
        rerun = run(server, make_rows(5), tmp_path / "p.jsonl")
        assert len(server.requests) == len(bodies)
    with_penalty = [body for body in bodies if body.get("repetition_penalty") == 1]
    assert len(bodies) - len(with_penalty) == (5 if said else 0)
    assert 1 <= len(with_penalty) <= 8  # no more than were under way when the first was refused
    assert read_meta(out)["notes"]["repetition_penalty"].startswith(noted)
    assert read_meta(rerun)["notes"] == read_meta(out)["notes"]  # a run that asks nothing keeps the record
