"""NLLB and MADLAD in miniature: random models that are taught eight sentences on the spot, so that right is known."""

from pathlib import Path
from typing import Any

import pytest

from mella_hf.answers.request_cache import RequestCache
from mella_hf.errors import MellaError
from mella_hf.ling.translate import CachedTranslator
from mella_hf.ling.translators.seq2seq import Seq2SeqTranslator

TAUGHT = {
    "cs": {"A red house.": "Červený dům.", "Two cats sleep.": "Dvě kočky spí.", "A tree.": "Strom.",
           "The dog runs to the river.": "Pes běží k řece."},
    "hu": {"A red house.": "Egy piros ház.", "Two cats sleep.": "Két macska alszik.", "A tree.": "Egy fa.",
           "The dog runs to the river.": "A kutya a folyóhoz fut."},
}  # fmt: skip
TEXTS = [text for pairs in TAUGHT.values() for pair in pairs.items() for text in pair]
SIZES = {"dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}


def teach(model: Any, tokenizer: Any, examples: list[tuple[Any, Any]], given: int = 0, steps: int = 500) -> None:
    """`given` tokens of a target are not to be learned: NLLB is told the language."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    batch = tokenizer.pad([{"input_ids": source} for source, _ in examples], return_tensors="pt")
    length = max(len(target) for _, target in examples)
    labels = torch.tensor([target + [-100] * (length - len(target)) for _, target in examples])  # [B, T]
    config = model.config
    before = labels.roll(1, dims=1).masked_fill(labels.roll(1, dims=1) == -100, config.pad_token_id)
    before[:, 0] = config.decoder_start_token_id
    labels[:, :given] = -100
    model.train()
    for _ in range(steps):
        loss = model(**batch, decoder_input_ids=before, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.05, "the miniature did not learn its sentences"


@pytest.fixture(scope="module")
def nllb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a taught M2M-100 with NLLB's tokenizer: source and target language are tokens."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace()
    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    bpe.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=200, special_tokens=marks, show_progress=False))
    import json

    state = json.loads(bpe.to_str())["model"]
    tokenizer = NllbTokenizer(vocab=state["vocab"], merges=[tuple(pair) for pair in state["merges"]])
    config = M2M100Config(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=64,
        decoder_ffn_dim=64, encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=256,
        decoder_start_token_id=2, **SIZES,
    )  # fmt: skip
    torch.manual_seed(0)  # whatever ran before
    model = M2M100ForConditionalGeneration(config)
    examples = []
    for code, pairs in (("ces_Latn", TAUGHT["cs"]), ("hun_Latn", TAUGHT["hu"])):
        for source, target in pairs.items():
            tokenizer.src_lang = "eng_Latn"
            ids = tokenizer(source)["input_ids"]
            words = tokenizer(target, add_special_tokens=False)["input_ids"]
            examples.append((ids, [tokenizer.convert_tokens_to_ids(code), *words, tokenizer.eos_token_id]))
    teach(model, tokenizer, examples, given=1)
    folder = tmp_path_factory.mktemp("nllb") / "stand-in-miniature-nllb"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def madlad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a taught T5 in MADLAD's way: the target language is a token before the text."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    marks = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=160, special_tokens=marks, unk_token="<unk>", show_progress=False)
    unigram.train_from_iterator(TEXTS, trainer)
    import json

    vocabulary = [tuple(piece) for piece in json.loads(unigram.to_str())["model"]["vocab"]]
    tokenizer = T5Tokenizer(vocab=vocabulary, extra_ids=0)
    tokenizer.add_tokens(["<2cs>", "<2hu>"])
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2, dropout_rate=0.0,
        decoder_start_token_id=0, tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)  # whatever ran before
    model = T5ForConditionalGeneration(config)
    examples = [
        (tokenizer(f"<2{code}> {source}")["input_ids"], tokenizer(target)["input_ids"])
        for code, pairs in TAUGHT.items()
        for source, target in pairs.items()
    ]
    teach(model, tokenizer, examples)
    folder = tmp_path_factory.mktemp("madlad") / "stand-in-miniature-madlad"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", ["nllb", "madlad"])
def test_the_language_asked_for_is_the_language_given(family: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(family)
    translator = Seq2SeqTranslator(str(folder), batch_size=3, beams=2, device="cpu")
    assert (translator.family, translator.name) == (family, f"stand-in-miniature-{family}")
    for code, pairs in TAUGHT.items():
        assert translator.translate(list(pairs), "en", code) == list(pairs.values())


def test_languages_without_a_token_are_refused(madlad: Path, nllb: Path, tiny_qwen2vl: Path) -> None:
    with pytest.raises(MellaError, match="no token '<2th>'"):
        Seq2SeqTranslator(str(madlad), device="cpu").translate(["A tree."], "en", "th")
    with pytest.raises(MellaError, match="Cannot load|give one of"):
        Seq2SeqTranslator(str(tiny_qwen2vl), device="cpu")


def test_a_translation_without_an_end_is_none(nllb: Path) -> None:
    translator = Seq2SeqTranslator(str(nllb), beams=1, device="cpu")
    end = translator._tokenizer.eos_token_id
    translator._model.generation_config.suppress_tokens = [end]
    assert translator.translate(["A tree."], "en", "cs") == [""]


def test_sentences_of_a_long_text_are_batched_and_kept(nllb: Path, tmp_path: Path) -> None:
    asked = []
    translator = Seq2SeqTranslator(str(nllb), batch_size=2, beams=1, device="cpu")
    translator.max_chars = 30
    text = "A red house. Two cats sleep.\nThe dog runs to the river."
    with RequestCache(tmp_path / "c.sqlite") as cache:
        over = CachedTranslator(translator, cache, at_once=1, on_request=asked.append)
        first = over.translate([text, "A tree."], "en", "cs")
        assert first[1] == "Strom." and first[0].endswith("\nPes běží k řece.")
        assert [len(group) for group in asked] == [2, 1]
        assert over.translate([text, "A tree."], "en", "cs") == first and len(asked) == 2
