"""`python build_comet.py FOLDER LINES.txt [LAYERS HIDDEN]`, run by the Python of `.venv-comet`: writes a random
UnifiedMetric checkpoint in COMET's format (hparams.yaml, checkpoints/model.ckpt) with a tokenizer trained on the lines.
Where there is a `pairs.json`, the last layer is scaled so that the scores of its pairs spread over [0, 1], half of them
above 0.75, and `predicted.json` gets what COMET's own `predict` says of them.
"""

import json
import sys
from pathlib import Path
from typing import Any

COMET_PYTHON = Path(__file__).parents[2] / ".venv-comet" / "bin" / "python"
THRESHOLD = 0.75  # as mella_hf.ling.quality has it
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def build_encoder(folder: Path, lines: list[str], layers: int, hidden: int) -> Path:
    """An XLM-RoBERTa with random weights, 514 positions as the real ones have."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizerFast

    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.normalizer = normalizers.NFKC()
    bpe.pre_tokenizer = pre_tokenizers.Metaspace()
    bpe.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=800, special_tokens=SPECIAL, show_progress=False))
    bpe.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=False, add_prefix_space=False
    )
    tokenizer = XLMRobertaTokenizerFast(tokenizer_object=bpe, model_max_length=512)
    tokenizer.save_pretrained(folder)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=max(2, hidden // 64),
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        initializer_range=0.3,  # with the usual 0.02 a random encoder says the same of every text
    )
    torch.manual_seed(0)
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def predict(model: Any, samples: list[dict[str, str]]) -> list[float]:
    """What COMET's own `predict` says."""
    return model.predict(samples, batch_size=4, gpus=0, progress_bar=False).scores


def spread(model: Any, scores: list[float]) -> None:
    """Scale the last layer, which is linear, so that half of the scores pass the threshold and none leaves [0, 1]."""
    import torch

    ordered = sorted(scores)
    below, above = ordered[len(ordered) // 2 - 1 : len(ordered) // 2 + 1]
    middle = (below + above) / 2
    scale = min(0.24 / (ordered[-1] - middle), 0.74 / (middle - ordered[0]))
    last = model.estimator.ff[-1]
    with torch.no_grad():
        last.weight.mul_(scale)
        last.bias.sub_(middle).mul_(scale).add_(THRESHOLD)


def main(folder: Path, lines: list[str], layers: int = 2, hidden: int = 32) -> None:
    import pytorch_lightning as ptl
    import torch
    import yaml
    from comet import load_from_checkpoint
    from comet.models import UnifiedMetric

    encoder = build_encoder(folder / "encoder", lines, layers, hidden)
    torch.manual_seed(0)
    model = UnifiedMetric(
        encoder_model="XLM-RoBERTa",
        pretrained_model=str(encoder),
        sent_layer="mix",
        layer_transformation="sparsemax",
        layer_norm=False,
        loss="mse",
        hidden_sizes=[2 * hidden, hidden],
        input_segments=["mt", "src"],
        word_level_training=False,
        local_files_only=True,
    )
    pairs = folder / "pairs.json"
    samples = [{"src": a, "mt": b} for a, b in json.loads(pairs.read_text("utf-8"))] if pairs.exists() else []
    if samples:
        spread(model, predict(model, samples))
    (folder / "checkpoints").mkdir()
    trainer = ptl.Trainer(logger=False, accelerator="cpu", enable_checkpointing=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(folder / "checkpoints" / "model.ckpt", weights_only=True)
    parameters = {**dict(model.hparams), "class_identifier": "unified_metric"}
    (folder / "hparams.yaml").write_text(yaml.safe_dump(parameters))
    if samples:
        path = str(folder / "checkpoints" / "model.ckpt")
        loaded = load_from_checkpoint(path, reload_hparams=True, local_files_only=True)
        (folder / "predicted.json").write_text(json.dumps(predict(loaded, samples)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).read_text("utf-8").splitlines(), *map(int, sys.argv[3:]))
