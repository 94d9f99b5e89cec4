"""Scores in the formats of others: what their own readers and schemas say of them."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from mella_hf.errors import MellaError
from mella_hf.evaluation.export import every_eval_ever, export_runs
from mella_hf.evaluation.run import load_run

SCHEMA = json.loads(Path(__file__).with_name("every_eval_ever.schema.json").read_text("utf-8"))


@pytest.fixture
def hub_run(stand_in_run):
    """A stand-in run on a dataset of the Hub, with a base of the Hub."""
    record = json.loads((stand_in_run / "scores.json").read_text("utf-8"))
    record["data"] |= {"name": "org/mella", "local": False}
    for model in record["models"].values():
        model |= {"base": "maker/base-vl", "base_is_local": False}
    (stand_in_run / "scores.json").write_text(json.dumps(record, ensure_ascii=False), "utf-8")
    return load_run(stand_in_run)


def test_every_eval_ever_accepts_the_records(stand_in_run, hub_run, tmp_path):
    validator = jsonschema.Draft7Validator(SCHEMA)
    written = export_runs([hub_run], tmp_path / "export")
    records = [path for path in written if path.suffix == ".json"]
    assert [path.parent.relative_to(tmp_path / "export").as_posix() for path in records] == [
        "data/mella/maker/base-vl", "data/mella/unknown/stand-in-adapter",
    ]  # fmt: skip
    for path in records:
        assert list(validator.iter_errors(json.loads(path.read_text("utf-8")))) == []
    base = json.loads(records[0].read_text("utf-8"))
    meteor = next(r for r in base["evaluation_results"] if r["evaluation_name"] == "mella ar ling: METEOR")
    assert meteor["score_details"]["score"] == 4.0
    assert meteor["score_details"]["uncertainty"]["confidence_interval"]["upper"] == 6.0
    assert meteor["source_data"]["hf_repo"] == "org/mella"
    assert meteor["generation_config"]["generation_args"]["max_tokens"] == 512


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r.pop("eval_library"),
        lambda r: r["evaluation_results"][0]["metric_config"].pop("max_score"),
        lambda r: r["evaluation_results"][0]["source_data"].update(source_type="folder"),
        lambda r: r["evaluation_results"][0]["score_details"].update(score=None),
        lambda r: r["dedupe_identity"].pop("hash_algorithm"),
        lambda r: r.update(extra=1),
    ],
)
def test_the_schema_would_refuse_a_wrong_record(hub_run, spoil):
    record = every_eval_ever(hub_run, "adapter")
    jsonschema.validate(record, SCHEMA, cls=jsonschema.Draft7Validator)
    spoil(record)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, SCHEMA, cls=jsonschema.Draft7Validator)


def test_the_hub_reads_its_own_formats(hub_run, tmp_path):
    export_runs([hub_run], tmp_path)
    text = (tmp_path / "stand-in-adapter" / "model-index.yml").read_text("utf-8")
    results = ModelCard(f"---\n{text}\n---\n").data.eval_results
    meteor = next(r for r in results if (r.metric_type, r.dataset_split) == ("meteor", "ling_test"))
    assert (meteor.metric_value, meteor.dataset_type, meteor.dataset_config) == (41.0, "org/mella", "ar")
    assert meteor.metric_args["signature"].startswith("mella|")
    listed = yaml.safe_load((tmp_path / "stand-in-adapter/.eval_results/mella-ar.yaml").read_text("utf-8"))
    entries = parse_eval_result_entries(listed)
    assert {(e.dataset_id, e.task_id, e.value) for e in entries} >= {
        ("org/mella", "ar_know_keyword_micro", 41.0), ("org/mella", "ar_ling_meteor", 41.0),
    }  # fmt: skip
    assert all(entry.notes.startswith("mella|") and entry.date.endswith("Z") for entry in entries)


def test_a_dataset_in_a_folder_has_no_id_on_the_hub(stand_in_run, tmp_path):
    written = export_runs([load_run(stand_in_run)], tmp_path / "x")
    assert not [path for path in written if ".eval_results" in path.parts]
    record = json.loads(next(path for path in written if path.suffix == ".json").read_text("utf-8"))
    jsonschema.validate(record, SCHEMA, cls=jsonschema.Draft7Validator)
    assert record["evaluation_results"][0]["source_data"]["source_type"] == "other"
    with pytest.raises(MellaError, match="--export .* is a file; name a folder"):
        export_runs([], written[0])
