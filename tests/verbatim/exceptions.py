"""What cannot be typed here as it is written, each with its reason. Nothing else may be left out or changed."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Left:
    """A command that is not run. Of `mella` and `pip install`, what is written is still checked."""

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
    Left(r"^pip install ", "no package index here; the environment is what this would make"),
    Left(r"^mella (demo|ablation) ", "fetches 27 MB and takes 15 minutes to hours; tests/demo runs its parts"),
    Left(r"^vllm serve ", "vLLM needs a GPU and another transformers; a stand-in speaks in its place"),
    Left(r"^python -m lmms_eval ", "lmms-eval has an environment of its own; tests/evaluation runs it there"),
    Left(r"^mella build (s3|gs)://", "reads the internet; tests/sources/test_places.py serves S3 on loopback"),
    Left(r" --common-crawl ", "asks Common Crawl; tests/know/test_common_crawl.py serves a crawl on loopback"),
    Left(r"^python benchmarks/gpu\.py$", "needs a GPU of 80 GB; tests/training runs it with --tiny"),
    Left(r" --opt-outs |withdrawn\.csv", "asks sites of the web; tests/know/test_withdrawn.py serves them on loopback"),
)
GPU = "there is no GPU here"
HOURS = "a run takes hours"
ENDLESS = "random weights never end an answer"
READER = "a name that the reader fills in"
WEB = "services and pages of the internet are on loopback here"
TINY = (
    " --use_cpu true --bf16 false --dtype float32 --max_steps 2 --max_samples 4 --dataloader_num_workers 0"
    " --logging_steps 1 --watch_samples 1 --watch_new_tokens 4"
)
SHORT = " --know-tokens 8 --ling-tokens 8"
CPU = "--config_file recipes/accelerate/cpu.yaml"
SYSTEMS = "--base Qwen/Qwen2-VL-7B-Instruct --adapter outputs/joint/adapter"
DEEPL = " --translator deepl --translator-url {services}"
GOOGLE = " --translator google --translator-url {services}"
INSTEAD = (
    Instead(r"^make ", "make --dry-run --directory {checkout} ", "installs from the internet"),
    Instead(r"--config_file recipes/accelerate/\w+\.yaml", CPU, GPU),
    Instead(r"^accelerate launch (?!--config_file)", f"accelerate launch {CPU} ", GPU),
    Instead(r"--accelerate-config (zero1|ddp)", "--accelerate-config cpu", GPU),
    Instead(r"^mella train .*", r"\g<0>", HOURS, TINY),
    Instead(r"^accelerate launch .*(sft\.py|mella_hf train).*", r"\g<0>", HOURS, TINY),
    Instead(r"^mella evaluate |^accelerate launch .*evaluate\.py", r"\g<0>", ENDLESS, SHORT),
    Instead(r"--base BASE --adapter ADAPTER", SYSTEMS, READER),
    Instead(r"^mella evaluate \.\.\.", f"mella evaluate {SYSTEMS} --languages ar --out outputs/more", READER),
    Instead(r"tcp://HEAD:8786", "{scheduler}", READER),
    Instead(r"--port 8786", "--port {port}", "the port may be taken here"),
    Instead(r"--(n?workers) 16", r"--\1 2", "two cores here"),
    Instead(r"--max-samples 90000", "--max-samples 4", HOURS),
    Instead(r"http://(localhost|node1|node2):8000/v1", "{captions}", WEB),
    Instead(r"http://localhost:8001/v1", "{translations}", "a stand-in answers in vLLM's place"),
    Instead(r"DEEPL_API_KEY=…", "DEEPL_API_KEY=key", READER),
    Instead(r"^mella (distill|describe) (?!.*(--languages yo|--translator)).*", r"\g<0>", WEB, DEEPL),
    Instead(r"^mella describe .*--translator google.*", r"\g<0>", WEB, " --translator-url google={services}"),
    Instead(r"^mella describe .*--languages yo.*", r"\g<0>", WEB, GOOGLE),
    Instead(r"^mella describe .*--with-context", r"\g<0>", "random weights name nothing", " --endpoint {captions}"),
    Instead(r"^DEEPL_API_KEY=\S+ mella describe .*", r"\g<0>", WEB, " --translator-url {services}"),
    Instead(r"^mella languages new .*--translator google", r"\g<0>", WEB, " --translator-url {services}"),
    Instead(r"^mella collect (?!.*--texts-only).*", r"\g<0>", WEB, " --allow-private 127.0.0.1"),
)
# Commands that end with 1, and what they say: random weights break every limit of a gate.
FAILS = {r"--gate recipes/gate\.yaml": "gate"}
# The documents say of these that they are typed in a checkout.
IN_A_CHECKOUT = r"\brecipes/"
# Commands that serve until they are ended: what they print when they are ready.
SERVES = {
    r"^mella review (?!.*(--status|--export|--import|--calibrate))": r"http://\S+",
    r"^mella try .*--serve": r"http://\S+",
    r"^dask scheduler ": r"Scheduler at: *(\S+)",
    r"^dask worker ": r"Registered to: *(\S+)",
}


def left(command: str) -> Left | None:
    return next((row for row in LEFT if re.search(row.pattern, command)), None)


def replaced(command: str, **places: str) -> str:
    """The command as it is run here."""
    more = ""
    command = re.split(r"\s+#\s", command)[0]
    for row in INSTEAD:
        if re.search(row.pattern, command):
            command = re.sub(row.pattern, row.replacement, command)
            more += row.more
    command += more
    for name, place in places.items():
        command = command.replace("{" + name + "}", place)
    return command
