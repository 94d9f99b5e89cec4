"""What somebody did before a command: the runs and folders that it reads, made by other documents' commands."""

import re
import shutil

from verbatim import exceptions
from verbatim.blocks import ROOT
from verbatim.typist import Typist

QWEN = "--model_name_or_path Qwen/Qwen2-VL-7B-Instruct --languages ar"
EVALUATE = "mella evaluate --base Qwen/Qwen2-VL-7B-Instruct --languages ar --data-dir outputs/mella"
# A path that a command reads -> the commands that make it, where it is not there.
MADE_BY: dict[str, tuple[str, ...]] = {
    "outputs/joint/adapter": (f"mella train joint {QWEN} --learning_rate 0.1",),  # so that its answers differ
    "outputs/ling_only/adapter": (f"mella train ling_only {QWEN}",),
    "outputs/know_only/adapter": (f"mella train know_only {QWEN}",),
    "outputs/other/adapter": ("mkdir -p outputs/other", "cp -r outputs/know_only/adapter outputs/other/adapter"),
    "outputs/internvl2": ("mella convert-internvl2 OpenGVLab/InternVL2-8B outputs/internvl2",),
    "outputs/demo/ar/base/model": (
        "mkdir -p outputs/demo/ar/base",
        "hf download Qwen/Qwen2-VL-7B-Instruct --local-dir outputs/demo/ar/base/model",
    ),
    "outputs/demo/ar/evaluation": (f"{EVALUATE} --adapter outputs/joint/adapter --out outputs/demo/ar/evaluation",),
    "outputs/demo/ar/adapter": (
        "test -e outputs/demo/ar/evaluation/scores.json",
        'python -c "from mella_hf.hub.push import prepare_adapter as p; '
        "p('outputs/joint/adapter', 'outputs/demo/ar/adapter', run='outputs/demo/ar/evaluation')\"",
    ),
    "outputs/evaluation/ar": (f"{EVALUATE} --adapter outputs/joint/adapter --out outputs/evaluation/ar",),
    "outputs/ar": (f"{EVALUATE} --adapter outputs/joint/adapter --out outputs/ar",),
    "outputs/th": (f"{EVALUATE.replace(' ar ', ' th ')} --adapter outputs/joint/adapter --out outputs/th",),
    "outputs/evaluation/joint": (
        "mkdir -p outputs/evaluation",
        "cp -r outputs/ar outputs/evaluation/joint",
    ),
    "collected": (
        "mella collect --urls pages.txt --languages cs --contact you@example.org --out collected --test-size 0",
    ),
    "described": (
        "mella describe images/ --out described --languages ar,cs --captioner Qwen/Qwen2.5-VL-72B-Instruct "
        "--endpoint http://localhost:8000/v1",
    ),
    "thick": (
        "mella describe collected/ --out thick --languages cs --captioner Qwen/Qwen2.5-VL-7B-Instruct --with-context",
    ),
    # Of these, `mella ablation` makes more: the answers of its base, and descriptions with names.
    "outputs/demo/ar/ablation/transfer": (
        "mella distill --base outputs/demo/ar/base/model --language ar --data-dir outputs/demo/mella --max-samples 4 "
        "--out outputs/demo/ar/ablation/transfer",
    ),
    "outputs/demo/ar/ablation/thick_data": (
        "mkdir -p outputs/demo/ar/ablation",
        "cp -r outputs/demo/mella outputs/demo/ar/ablation/thick_data",
    ),
    "outputs/evaluation/sdrrl": (
        "mkdir -p outputs/evaluation",
        "cp -r outputs/ar outputs/evaluation/sdrrl",
    ),
}


def recipe_of(command: str) -> str:
    """The settings of the recipe that a command names, without comments."""
    named = re.search(r"--config (recipes/\S+\.yaml)", command) or re.search(r"mella train (\w+)", command)
    if named is None:
        return ""
    path = named[1] if named[1].endswith(".yaml") else f"recipes/{named[1]}.yaml"
    return "\n" + re.sub(r"#.*", "", (ROOT / path).read_text("utf-8"))


def provide(typist: Typist, command: str, making: str = "") -> None:
    """Make what a command reads and is not there; `making` is what the command itself makes."""
    text = command + recipe_of(command)
    for path, commands in MADE_BY.items():
        read = re.search(rf"(?<!--out )(?<!--output_dir )(?<!output_dir: )(?<![\w/-]){re.escape(path)}\b", text)
        if not read or path == making or (typist.home / path).exists():
            continue
        made = path.removesuffix("/adapter")  # with what training records beside it
        kept = typist.shelf / made.replace("/", "--")
        if not kept.exists():
            for step in commands:
                provide(typist, step, path)
                done = typist.type(exceptions.replaced(step, **typist.places), all_extras=True)
                assert done.status == 0, f"before {command}: {step}\n{done.output[-3000:]}"
            shutil.copytree(typist.home / made, kept)
        else:
            shutil.copytree(kept, typist.home / made, dirs_exist_ok=True)


# What comes between two commands of a document, by the words of the second.
BETWEEN: dict[str, tuple[str, ...]] = {
    # One GPU, or several: two ways of one run.
    "--languages ar --accelerate-config zero1": ("rm -rf outputs/joint",),
    "languages new yo --translator": ("rm languages/yo.toml",),
    # "The rows of the ablation are the recipes beside it, launched in the same way."
    "--against outputs/know_only/adapter": (
        "mella train know_only --model_name_or_path outputs/internvl2 --languages ar",
    ),
}


def before(typist: Typist, command: str) -> None:
    """Do what somebody does before a command."""
    for mark, commands in BETWEEN.items():
        if mark in command:
            for step in commands:
                done = typist.type(exceptions.replaced(step, **typist.places), all_extras=True)
                assert done.status == 0, f"before {command}: {step}\n{done.output[-3000:]}"
