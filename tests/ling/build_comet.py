"""`python build_comet.py FOLDER LINES.txt [LAYERS HIDDEN]`, run by the Python of `.venv-comet`: writes a random
UnifiedMetric checkpoint in COMET's format (hparams.yaml, checkpoints/model.ckpt) with a tokenizer trained on the lines.
`predicted.json` beside it holds what COMET's own `predict` says of `pairs.json`, where that is there.
"""

import json
import sys
from pathlib import Path

COMET_PYTHON = Path(__file__).parents[2] / ".venv-comet" / "bin" / "python"
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
    )
    torch.manual_seed(0)
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


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
    with torch.no_grad():  # scores around 0.85, as real checkpoints give, so that some pass the threshold and some not
        model.estimator.ff[-1].bias.fill_(0.78)
        model.estimator.ff[-1].weight.mul_(0.4)
    (folder / "checkpoints").mkdir()
    trainer = ptl.Trainer(logger=False, accelerator="cpu", enable_checkpointing=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(folder / "checkpoints" / "model.ckpt", weights_only=True)
    parameters = {**dict(model.hparams), "class_identifier": "unified_metric"}
    (folder / "hparams.yaml").write_text(yaml.safe_dump(parameters))
    if (pairs := folder / "pairs.json").exists():
        samples = [{"src": source, "mt": translation} for source, translation in json.loads(pairs.read_text("utf-8"))]
        path = str(folder / "checkpoints" / "model.ckpt")
        loaded = load_from_checkpoint(path, reload_hparams=True, local_files_only=True)
        scores = loaded.predict(samples, batch_size=4, gpus=0, progress_bar=False).scores
        (folder / "predicted.json").write_text(json.dumps(scores))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).read_text("utf-8").splitlines(), *map(int, sys.argv[3:]))
