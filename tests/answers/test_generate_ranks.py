"""Two processes with gloo share out the answers: the same bytes as one, nothing lost or doubled, also after a kill."""

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

from ports import reserved_port

from mella_hf.answers.identity import model_identity
from mella_hf.answers.models import load_model
from mella_hf.answers.predictions import answer_rows

DIED = 7  # exit status of a process that stops in the middle


def answer(model: Path, rows: Any, out: Path, die_after: int | None = None, log: Path | None = None) -> None:
    """Answer with the real tiny model; log the ids answered, and die without a word after some batches."""
    from mella_hf.answers.generate import LocalModel

    class Watched(LocalModel):
        batches = 0

        def answer(self, turns: Any, max_new_tokens: int, at_once: int, keep: Any) -> None:
            if self.batches == die_after:
                os._exit(DIED)
            self.batches += 1
            turns = list(turns)
            super().answer(turns, max_new_tokens, at_once, keep)
            if log is not None:
                with open(log, "a") as file:
                    file.write(f"{len(turns)}\n")

    answerer = Watched(*load_model(str(model), device="cpu"))
    answer_rows(
        answerer, rows, language="ar", source="know", out=out, identity=model_identity(str(model)), batch_size=3,
        max_new_tokens=6, progress=False,
    )  # fmt: skip


def rank_main(rank: int, port: int, data: Path, arguments: dict[str, Any], dies: bool) -> None:
    """One rank, as `torchrun` would start it."""
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="",
    )  # fmt: skip
    from datasets import load_from_disk

    from mella_hf.answers.answers import process_state

    assert process_state("cpu").num_processes == 2
    answer(rows=load_from_disk(str(data)), die_after=1 if dies else None, **arguments)


def two_ranks(data: Path, die: bool = False, **arguments: Any) -> list[int | None]:
    """Exit codes; when one dies, the other fails where it waits for it."""
    context = multiprocessing.get_context("spawn")
    with reserved_port() as port:
        ranks = [
            context.Process(target=rank_main, args=(rank, port, data, arguments, die and rank == 1)) for rank in (0, 1)
        ]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
    return [process.exitcode for process in ranks]


def test_two_processes_give_the_bytes_of_one_and_go_on_after_a_kill(tiny_qwen2vl, make_rows, tmp_path):
    rows = make_rows(11)
    rows.save_to_disk(tmp_path / "rows")
    answer(tiny_qwen2vl, rows, tmp_path / "one.jsonl")
    one = (tmp_path / "one.jsonl").read_bytes()

    out, log = tmp_path / "two" / "two.jsonl", tmp_path / "log"
    codes = two_ranks(tmp_path / "rows", die=True, model=tiny_qwen2vl, out=out)
    assert codes[1] == DIED and codes[0] != 0 and not out.exists()
    kept = [json.loads(line) for p in out.parent.glob("*.partial") for line in p.read_text().split("\n") if line]
    assert len({r["id"] for r in kept}) == len(kept) >= 3, "each image is answered by one process"

    assert two_ranks(tmp_path / "rows", model=tiny_qwen2vl, out=out, log=log) == [0, 0]
    assert out.read_bytes() == one
    assert sum(map(int, log.read_text().split())) == 11 - len(kept), "only what was missing is answered"
    assert sorted(p.name for p in out.parent.iterdir()) == ["two.jsonl", "two.jsonl.meta.json"]
