"""What setup.cfg puts into the wheel is all of the library: every package, and every file that is not Python."""

import subprocess
from configparser import ConfigParser
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]


def tracked() -> list[PurePosixPath]:
    """The files of the library that git knows."""
    listed = subprocess.run(["git", "ls-files", "mella_hf"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [PurePosixPath(line) for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def settings() -> ConfigParser:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return config


def test_every_package_is_listed() -> None:
    """A package that is not listed is there in a checkout, and missing for whoever installs the library."""
    written = {".".join(path.parent.parts) for path in tracked() if path.suffix == ".py"}
    listed = set(settings()["options"]["packages"].split())
    elsewhere = {"mella_hf.model_cards", "mella_hf.recipes"}  # at the top of the repository
    assert listed - elsewhere == written


def test_every_file_that_is_not_python_is_listed() -> None:
    listed = {
        package.replace(".", "/"): [pattern.strip() for pattern in patterns.split(",")]
        for package, patterns in settings()["options.package_data"].items()
    }
    left_out = [
        str(path)
        for path in tracked()
        if path.suffix != ".py"
        and not any(
            fnmatch(str(path.relative_to(folder)), pattern)
            for folder, patterns in listed.items()
            if path.is_relative_to(folder)
            for pattern in patterns
        )
    ]
    assert left_out == []
