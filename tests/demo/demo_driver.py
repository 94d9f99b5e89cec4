"""The demo at the smallest scale, as a process that a test can kill: `python demo_driver.py SOURCE OUT`."""

import sys

from mella_hf.demo import rows
from mella_hf.demo.pretrain import Budget
from mella_hf.demo.run import Scale, run_demo

rows.BASE_SCENES = 40
SCALE = Scale(
    budget=Budget(vision_steps=4, vision_batch=8, english_steps=4, reading_steps=6, batch=4, save_steps=2),
    training_flags=("--max_steps", "6", "--save_steps", "2", "--per_device_train_batch_size", "4"),
    max_new_tokens={"know": 4, "ling": 6},
)

if __name__ == "__main__":
    run_demo("ar", sys.argv[2], sys.argv[1], workers=1, scale=SCALE)
