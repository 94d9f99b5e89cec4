"""A branch on the Hub that moves while a run starts: processor, weights and record are those of one commit."""

import json
import os
import subprocess
import sys
from pathlib import Path

from local_hub import LocalHub
from sft_runs import flags
from tiny_qwen2vl import build_tiny_qwen2vl

REPO = "org/moving"
RUN = """
import json, sys
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.run_identity import all_settings, pin_backbone, run_identity
from mella_hf.training.sft import load_backbone, lora_config

settings = parse_settings(json.loads(sys.argv[1]))
pin_backbone(settings.model)
print("pinned", flush=True)
input()
model = load_backbone(settings.model)
print(json.dumps({
    "backbone": run_identity(settings)["backbone"], "settings": all_settings(settings)["model_revision"],
    "adapter": lora_config(settings, model).revision, "loaded": model.config._name_or_path,
    "weight": float(model.get_input_embeddings().weight.double().abs().sum()),
}))
"""


def test_a_run_stays_with_the_commit_that_it_started_with(
    tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    other = build_tiny_qwen2vl(tmp_path / "retrained", seed=7)
    with LocalHub(tmp_path / "hub") as hub:
        first = hub.add(f"models/{REPO}", tiny_qwen2vl)
        command = [sys.executable, "-c", RUN, json.dumps(flags(Path(REPO), tiny_dataset, tmp_path / "run"))]
        environment = {**os.environ, **hub.environment(tmp_path / "home")}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
        ) as run:
            assert run.stdout is not None
            assert run.stdout.readline() == "pinned\n"
            second = hub.add(f"models/{REPO}", other)
            said = json.loads(run.communicate("go on\n", timeout=120)[0].splitlines()[-1])
    assert first != second
    assert [said[name] for name in ("backbone", "settings", "adapter")] == [first] * 3
    weights = load_file(tiny_qwen2vl / "model.safetensors")
    embedding = next(tensor for name, tensor in weights.items() if name.endswith("embed_tokens.weight"))
    assert said["weight"] == float(embedding.double().abs().sum())
