"""Train an adapter: `accelerate launch recipes/sft.py --config recipes/qwen2_vl_7b/joint.yaml`.

Every key of a recipe can be given as a flag too, and flags win. A run that was stopped goes on when
the same command is given again.
"""

import sys

from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.training.arguments import parse_settings
from mella_hf.training.sft import train

if __name__ == "__main__":
    try:
        adapter = train(parse_settings())
    except (MellaError, MissingExtraError) as error:
        sys.exit(f"error: {error}")
    print(f"adapter: {adapter}")
