"""`python -m mella_hf` is `mella`."""

from mella_hf.cli import main

if __name__ == "__main__":
    main()
