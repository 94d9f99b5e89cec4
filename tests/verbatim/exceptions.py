"""What cannot be run here as it is written: the one table of it, each with its reason. Nothing else may be left out."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Left:
    """A command that is not run at all."""

    pattern: str
    reason: str


@dataclass(frozen=True)
class Instead:
    """A part of a command that is replaced; `more` is put behind the command."""

    pattern: str
    replacement: str
    reason: str
    more: str = ""


LEFT = (
    Left(r"^make ", "needs a checkout; .ci/run runs these"),
    Left(r"^mella (demo|ablation) ", "fetches 161 MB, takes minutes to hours; tests/demo has the stages"),
    Left(r"^pip install |^git clone |^docker |^apt-get ", "installs from the internet"),
    Left(r"^vllm serve ", "vLLM is not installed here and needs a GPU; a stand-in answers in its place"),
    Left(r"^dask (scheduler|worker) ", "wait for ever; tests/test_cluster.py starts both"),
    Left(r" --cluster tcp://", "needs the scheduler above; tests/test_cluster.py runs --cluster"),
    Left(r"^mella evaluate .*--benchmark ", "reads benchmarks of others; tests/evaluation serves them on loopback"),
    Left(r"recipes/demo/sdrrl", "`mella ablation` makes its transfer set"),
    Left(r" --export | --human ", "need people's decisions; tests/reviewing makes them"),
    Left(r"lmms_eval ", "lmms-eval has an environment of its own; tests/evaluation runs it there"),
    Left(
        r"^mella build (s3|gs|hf)://",
        "reads the internet; tests/sources/test_places.py serves S3 and a Hub on loopback",
    ),
    Left(r"^mella collect .*(--urls|crawl/)", "reads the web; tests/know/test_collect*.py serve it on loopback"),
    Left(
        r"--qe-model masakhane/",
        "COMET has an environment of its own; tests/ling runs it",
    ),
)
# A reader has eight GPUs, days, and keys of services. Here two steps are taken on a CPU.
TINY = (
    " --use_cpu true --bf16 false --dtype float32 --max_steps 2 --max_samples 4 --dataloader_num_workers 0"
    " --logging_steps 1 --watch_samples 1 --watch_new_tokens 4"
)
SMALL_ANSWERS = " --know-tokens 8 --ling-tokens 8"
INSTEAD = (
    Instead(r"--config_file recipes/accelerate/\w+\.yaml", "--config_file recipes/accelerate/cpu.yaml", "no GPU here"),
    Instead(r" --accelerate-config \w+", "", "no GPU here"),
    Instead(r"^(mella train |accelerate launch .*sft\.py).*", r"\g<0>", "a run takes hours and a GPU", TINY),
    Instead(r"^mella evaluate |^accelerate launch .*evaluate\.py", r"\g<0>", "random weights never end an answer",
            SMALL_ANSWERS),
    Instead(r"--max-samples 90000", "--max-samples 2", "the dataset has a few rows"),
    Instead(r"^mella (distill|describe) (?!.*--dry-run).*", r"\g<0>", "DeepL is on the internet",
            " --translator deepl --translator-url {services}"),
    Instead(r"^(DEEPL_API_KEY=\S+ )?mella describe .*", r"\g<0>", "COMET has an environment of its own", " --no-qe"),
    Instead(r"http://(localhost|node1):8000/v1", "{captions}", "a stand-in answers in vLLM's place"),
    Instead(r"--base-url http://node2:8000/v1", "", "one stand-in is enough"),
    Instead(r"--base BASE --adapter ADAPTER", "--base Qwen/Qwen2-VL-7B-Instruct "
            "--adapter outputs/joint/adapter", "names that the reader fills in"),
    Instead(r"^mella evaluate \.\.\. ", "mella evaluate --base Qwen/Qwen2-VL-7B-Instruct --languages ar "
            "--adapter outputs/joint/adapter --out outputs/gated ", "the reader's own options"),
    Instead(r" --gate recipes/gate\.yaml", "", "random weights break every limit; tests/evaluation has the gate"),
    Instead(r"--workers 16", "--workers 1", "two cores here"),
)  # fmt: skip
# The documents say of these that they are run in a checkout.
IN_A_CHECKOUT = r"\brecipes/"
# Commands that serve a page until they are ended.
SERVES = r"^mella review (?!.*(--status|--export))"


def left(command: str) -> Left | None:
    return next((row for row in LEFT if re.search(row.pattern, command)), None)


def replaced(command: str, **places: str) -> str:
    """The command as it is run here."""
    more = ""
    for row in INSTEAD:
        if re.search(row.pattern, command):
            command = re.sub(row.pattern, row.replacement, command)
            more += row.more
    command = command.split("  #")[0].rstrip() + more
    for name, place in places.items():
        command = command.replace("{" + name + "}", place)
    return command
