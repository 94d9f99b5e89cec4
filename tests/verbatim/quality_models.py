"""Tiny random quality-estimation checkpoints under their real names, in COMET's format."""

import json
import subprocess
from pathlib import Path

import torch
import yaml
from ling import build_comet
from local_hub import LocalHub

ENCODER = "microsoft/infoxlm-large"  # what the real checkpoints read their tokenizer from
NAMES = {"Unbabel/wmt22-cometkiwi-da": True, "masakhane/africomet-qe-stl": False}  # whether it is gated


def add_quality_models(hub: LocalHub, folder: Path, pairs: list[tuple[str, str]]) -> None:
    """Build a checkpoint in COMET's own environment, which passes the pairs, and put it on the Hub."""
    model = folder / "model"
    model.mkdir(parents=True)
    (model / "pairs.json").write_text(json.dumps(pairs))
    (folder / "lines.txt").write_text("\n".join(text for pair in pairs for text in pair), "utf-8")
    command = [str(build_comet.COMET_PYTHON), build_comet.__file__, str(model), str(folder / "lines.txt"), "1", "16"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\nIs COMET's environment there? make comet"
    hub.add(f"models/{ENCODER}", model / "encoder")
    for name in ("encoder", "pairs.json", "predicted.json"):
        (model / name).rename(folder / name)
    checkpoint = model / "checkpoints" / "model.ckpt"  # the settings stand in both files
    state = torch.load(checkpoint, weights_only=False)
    state["hyper_parameters"] |= {"pretrained_model": ENCODER, "local_files_only": False}
    last = max(name for name in state["state_dict"] if name.startswith("estimator.ff.") and name.endswith(".weight"))
    state["state_dict"][last] *= 0.1  # the scores of the pairs were in [0, 1]; now they are in [0.85, 0.95]
    bias = state["state_dict"][last.replace("weight", "bias")]
    bias.mul_(0.1).add_(0.85)
    torch.save(state, checkpoint)
    parameters = yaml.safe_load((model / "hparams.yaml").read_text("utf-8"))
    parameters |= {"pretrained_model": ENCODER, "local_files_only": False}
    (model / "hparams.yaml").write_text(yaml.safe_dump(parameters))
    for name, gated in NAMES.items():
        hub.add(f"models/{name}", model, gated="auto" if gated else False)
