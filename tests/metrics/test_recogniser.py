"""Names found by a token-classification model: a model whose every word is known, from our own hands."""

import json
from pathlib import Path

import pytest
from dataset_samples import picture
from image_folders import rows, write_folder
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.errors import MellaError
from mella_hf.metrics.names.recogniser import Recogniser
from mella_hf.version import __version__

WORDS = {"karlův": "B-LOC", "most": "I-LOC", "krtek": "B-PER", "1932": "B-DATE"}
LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "B-DATE"]


def save_model(folder: Path, labels: list[str] = LABELS) -> Path:
    """A BERT without layers: the label of a word is that of its embedding."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["[UNK]", "[PAD]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=0, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=32, id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)},
    )  # fmt: skip
    model = BertForTokenClassification(config)
    with torch.no_grad():
        for parameter in model.bert.embeddings.parameters():
            parameter.zero_()
        model.bert.embeddings.LayerNorm.weight.fill_(1.0)
        model.classifier.weight.zero_()
        model.classifier.bias.zero_()
        for word, number in vocabulary.items():
            label = LABELS.index(WORDS.get(word, "O"))
            model.bert.embeddings.word_embeddings.weight[number, label] = 1.0
        model.classifier.weight[:, : len(labels)] = torch.eye(len(labels))
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def test_names_are_whole_each_once_and_dates_are_none(tmp_path: Path) -> None:
    recogniser = Recogniser(str(save_model(tmp_path)))
    texts = ["Večer Karlův most a Krtek, znovu Karlův most", "V roce 1932 nic", ""]
    assert recogniser.names(texts) == [["Karlův most", "Krtek"], [], []]


def test_a_text_longer_than_the_model_reads_is_read_whole(tmp_path: Path) -> None:
    recogniser = Recogniser(str(save_model(tmp_path)))  # it reads 32 words at once
    filler = "slovo " * 21
    text = f"Krtek {filler}Karlův most {filler}{filler}{filler}krtek {filler}Karlův Most"
    assert recogniser.names([text, "Krtek"]) == [["Krtek", "Karlův most", "krtek", "Karlův Most"], ["Krtek"]]


def test_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="has the labels LABEL_0, .* give a model that was trained to recognise names"):
        Recogniser(str(save_model(tmp_path / "a", [f"LABEL_{i}" for i in range(5)])))
    with pytest.raises(MellaError, match="cannot be loaded as a token-classification model"):
        Recogniser(str(tmp_path / "nothing"))


def test_score_finds_the_keywords_of_references_and_the_signature_says_by_what(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model")
    answers = [
        {"id": "1", "prediction": "Lidé na Karlově mostě.", "reference": "Turisté, Karlův most v Praze"},
        {"id": "2", "prediction": "Hračka na stole.", "reference": "Krtek leží na stole"},
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in answers), "utf-8")
    found = {}
    for ner in (str(model), "rules"):
        ended = CliRunner().invoke(app, ["score", str(path), "--language", "cs", "--ner", ner])
        assert ended.exit_code == 0, ended.output
        found[ner] = json.loads(path.with_suffix(".scores.json").read_text("utf-8"))["scores"]
        found_by = "rules-" if ner == "rules" else "ner:model|"
        assert f"|kwby:{found_by}" in found[ner]["signature"]
    assert found[str(model)]["keyword_micro"] == 50.0
    answers[0]["keywords"] = ["Praha"]
    path.write_text("".join(json.dumps(row) + "\n" for row in answers), "utf-8")
    ended = CliRunner().invoke(app, ["score", str(path), "--language", "cs", "--ner", "rules"])
    assert "1 of 2 items have keywords and 1 have none" in str(ended.exception)


def test_a_model_finds_the_keywords_of_a_dataset_which_says_so_and_so_do_its_scores(tmp_path: Path) -> None:
    """From `mella build --ner` to the card and to the signature of scores against the test split."""
    model = save_model(tmp_path / "finder")
    texts = ["Karlův most", "Krtek v trávě", "Most přes řeku", "nic"]
    lines = [{"file_name": f"{n}.jpg", "text": f"{texts[n % 4]} {n}"} for n in range(12)]
    write_folder(tmp_path / "images", lines, {f"{n}.jpg": picture(n) for n in range(12)})
    out = tmp_path / "data"
    call = ["build", str(tmp_path / "images"), "--out", str(out), "--source", "folder", "--languages", "cs"]
    ended = CliRunner().invoke(app, [*call, "--ner", str(model), "--workers", "0"])
    assert ended.exit_code == 0, ended.output
    kept = [row for split in ("know", "know_test") for row in rows(out, "cs", split)]
    assert {row["keywords_by"] for row in kept} == {"ner:finder"}
    assert {tuple(row["keywords"]) for row in kept} == {("Karlův most",), ("Krtek",), ("Most",), ()}
    assert "keywords_by: ner:finder" in (out / "README.md").read_text("utf-8")
    again = CliRunner().invoke(app, [*call, "--workers", "0"])  # another finder: everything is read again
    assert again.exit_code == 0, again.output
    kept = [row for split in ("know", "know_test") for row in rows(out, "cs", split)]
    assert {row["keywords_by"] for row in kept} == {f"rules-{__version__}"}
    answers = tmp_path / "answers.jsonl"
    ids = [row["id"] for row in rows(out, "cs", "know_test")]
    answers.write_text("".join(json.dumps({"id": name, "prediction": "Karlův most"}) + "\n" for name in ids), "utf-8")
    scored = ["score", str(answers), "--language", "cs", "--split", "know_test", "--data-dir", str(out)]
    ended = CliRunner().invoke(app, [*scored, "--no-check-references"])
    assert ended.exit_code == 0, ended.output
    found = json.loads(answers.with_suffix(".scores.json").read_text("utf-8"))["scores"]
    assert f"|kwby:rules-{__version__}|n:" in found["signature"]
