"""What stands beside the page: JSON that its schema allows, tables to paste."""

import json

import jsonschema
import pytest

from mella_hf.evaluation.reports.report import write_report
from mella_hf.html.tables import Cell, Table, escape_latex

TABLE = Table(
    caption="Arabic, 100% of R&D_set",
    header=["Model", "n", "METEOR"],
    rows=[["base|small", "100", Cell(4.04, 2.0, 6.06)], ["adapter", "100", Cell(None, None, None)]],
    signatures=["mella|v:1|lang:ar"],
)


def check_against_schema(path):
    """A JSON file against the schema that it names, which lies beside it; returns what it holds."""
    facts = json.loads(path.read_text("utf-8"))
    schema = json.loads((path.parent / facts["$schema"]).read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(facts, schema, cls=jsonschema.Draft202012Validator)
    return facts, schema


def test_the_json_is_what_its_schema_says(stand_in_run):
    write_report(stand_in_run)
    facts, schema = check_against_schema(stand_in_run / "report.json")
    for spoil in (
        lambda facts: facts["scores"][0].update(meteor=101),
        lambda facts: facts["scores"][0].update(wrong_language_rate=40.0),
        lambda facts: facts["answers"][0].pop("reference"),
        lambda facts: facts["answers"][0]["answers"]["base"]["flags"].append("unheard of"),
        lambda facts: facts["made_up_names"][0].update(entity_precision=101),
        lambda facts: facts["rare_names"][0].pop("hits"),
        lambda facts: facts["groups"][0].update(by="colour"),
        lambda facts: facts["differences"][0].update(transfer="perhaps"),
        lambda facts: facts.update(extra=1),
    ):
        spoiled = json.loads(json.dumps(facts))
        spoil(spoiled)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoiled, schema)


def test_a_run_without_adapter_fits_the_schema(make_run, tmp_path):
    write_report(make_run(tmp_path / "run", adapter=False))
    facts, _ = check_against_schema(tmp_path / "run" / "report.json")
    assert list(facts["answers"][0]["answers"]) == ["base"]


def test_markdown():
    assert TABLE.markdown() == (
        "Arabic, 100% of R&D_set\n\n"
        "| Model | n | METEOR |\n| --- | --- | ---: |\n"
        "| base\\|small | 100 | 4.0 (2.0–6.1) |\n| adapter | 100 | – |\n\n"
        "`mella|v:1|lang:ar`  \n"
    )


def test_latex():
    text = TABLE.latex()
    assert text.startswith("% mella|v:1|lang:ar\n\\begin{table}\n")
    assert r"\caption{Arabic, 100\% of R\&D\_set}" in text and r"\begin{tabular}{llr}" in text
    assert r"base\textbar{}small & 100 & 4.0 {\scriptsize (2.0--6.1)} \\" in text
    assert r"adapter & 100 & -- \\" in text
    assert text.count(r"\begin{") == text.count(r"\end{") == 2


def test_latex_finds_no_commands_in_texts():
    assert escape_latex(r"50% of \cmd{x}_1 ~ ^") == (
        r"50\% of \textbackslash{}cmd\{x\}\_1 \textasciitilde{} \textasciicircum{}"
    )


def test_the_tables_of_a_run(stand_in_run):
    write_report(stand_in_run)
    markdown = (stand_in_run / "report.md").read_text("utf-8")
    assert "| adapter | know | 4 | 41.0 (39.0–43.0) | 41.0 (39.0–43.0) |" in markdown
    assert "| base | ling | 4 | – | 4.0 (2.0–6.0) |" in markdown
    assert "`mella|v:1|lang:ar|norm:stand-in|tok:stand-in|bs:1000|seed:12345`" in markdown
    assert r"\toprule" in (stand_in_run / "report.tex").read_text("utf-8")


def test_a_score_beyond_100_is_in_the_tables_but_not_on_the_bars(stand_in_run):
    path = stand_in_run / "scores.json"
    record = json.loads(path.read_text("utf-8"))
    for score in record["scores"]:
        score.update(cider=251.0, cider_low=240.0, cider_high=265.0, cider_floor=20.0)
    path.write_text(json.dumps(record), "utf-8")
    page = write_report(stand_in_run).read_text("utf-8")
    facts, schema = check_against_schema(stand_in_run / "report.json")
    assert page.count(">CIDEr-D<") == 1 and "251.00" in page, "a column of the table of all scores"
    assert "CIDEr-D to 1000" in (stand_in_run / "report.md").read_text("utf-8")
    facts["scores"][0]["cider_high"] = 1001.0
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(facts, schema)
