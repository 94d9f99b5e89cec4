"""The ablation's recipes differ from the joint one in what they are about, and in nothing else."""

from pathlib import Path

import pytest
import yaml

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
STAGE_TWO = {"sources": ["know"], "init_adapter": ...}
FOLDERS = [".", "demo"]  # those of any backbone, and those of the miniature one
OWN = {  # what each changes or adds; ... where the value is a folder or its own
    "know_only": {"sources": ["know"]},
    "ling_only": {"sources": ["ling"], "fisher_samples": ...},
    "two_stage": STAGE_TWO,
    "two_stage_replay": {**STAGE_TWO, "replay_share": ...},
    "two_stage_ewc": {**STAGE_TWO, "ewc_lambda": ...},
    "sdrrl": {"transfer_set": ...},
    "thick": {"sources": ["ling"], "data_dir": ...},
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_variant_changes_what_it_is_about(folder: str, name: str) -> None:
    joint, variant = (yaml.safe_load((RECIPES / folder / f"{n}.yaml").read_text("utf-8")) for n in ("joint", name))
    changed = {key: variant.get(key) for key in {*joint, *variant} if joint.get(key) != variant.get(key)}
    assert changed.pop("output_dir") is not None
    if (folder, name) == ("demo", "sdrrl"):  # as many samples as joint sees, of a set that is larger
        assert changed.pop("num_train_epochs") < joint["num_train_epochs"]
    if name != "sdrrl":  # shares of the loss say nothing about one source, and a replayed one has its own
        weights = changed.pop("source_weights", None)
        assert weights is None or weights["know"] > weights["ling"]
    assert changed.keys() == OWN[name].keys()
    assert {key: value for key, value in changed.items() if OWN[name][key] is not ...} == {
        key: value for key, value in OWN[name].items() if value is not ...
    }


def test_even_replay_is_replay_with_half_the_loss() -> None:
    replay, even = (
        yaml.safe_load((RECIPES / "demo" / f"two_stage_replay{end}.yaml").read_text("utf-8")) for end in ("", "_even")
    )
    assert even.pop("source_weights") == {"know": 0.5, "ling": 0.5}
    assert even.pop("output_dir") != replay.pop("output_dir") and even == replay


@pytest.mark.parametrize("folder", FOLDERS)
def test_stage_two_starts_from_what_stage_one_leaves(folder: str) -> None:
    one = yaml.safe_load((RECIPES / folder / "ling_only.yaml").read_text("utf-8"))
    for name in ("two_stage", "two_stage_replay", "two_stage_ewc"):
        text = (RECIPES / folder / f"{name}.yaml").read_text("utf-8")
        assert yaml.safe_load(text)["init_adapter"] == f"{one['output_dir']}/adapter"
        header = text.split("\n\n")[0]
        first, second = (header.rindex(word) for word in ("ling_only", name))
        assert first < second, "stage one's command comes first"


def test_recipes_have_no_backbone_and_are_complete() -> None:
    recipes = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in RECIPES.glob("*.yaml")}
    recipes.pop("gate")
    assert set(recipes) == {"joint", *OWN}
    for name, recipe in recipes.items():
        assert "model_name_or_path" not in recipe and recipe["output_dir"] == f"outputs/{name}"
        assert recipe["max_image_tokens"] == 1800 and recipe["lora_scope"] == ["language_model"]
        command = next(
            line for line in (RECIPES / f"{name}.yaml").read_text("utf-8").splitlines() if "mella train" in line
        )
        assert "--model_name_or_path" in command
