"""Train an adapter: `accelerate launch recipes/sft.py --config recipes/joint.yaml --model_name_or_path BACKBONE`.

The same as `accelerate launch -m mella_hf train`, for a checkout.
"""

import sys

from mella_hf.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
