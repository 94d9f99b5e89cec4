"""`python comet_oracle.py FOLDER < PAIRS.json`, run by the Python of `.venv-comet`: what `model.predict` says."""

import json
import os
import sys

if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from comet import load_from_checkpoint

    model = load_from_checkpoint(sys.argv[1] + "/checkpoints/model.ckpt", reload_hparams=True, local_files_only=True)
    samples = [{"src": source, "mt": translation} for source, translation in json.load(sys.stdin)]
    answers.write(json.dumps(model.predict(samples, batch_size=4, gpus=0, progress_bar=False).scores))
