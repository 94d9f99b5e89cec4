"""Fetch a Debian package with apt and unpack it without root."""

import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mella_hf.errors import MellaError


def fetch_package(package: str, home: Path, mend: str = "") -> Path:
    """Return the folder HOME/PACKAGE with the package's files; fetch them the first time.

    The download is checked against the sha256 that apt publishes, unpacked aside and renamed, so an existing folder is
    complete.

    Args:
        mend: what to do if apt cannot be used, for the error messages.

    Raises:
        MellaError: if apt is missing, its lists are empty, or the download does not match its sha256.
    """
    folder = home / package
    if folder.is_dir():
        return folder
    home.mkdir(parents=True, exist_ok=True)
    # A separate folder, because another process may fetch the same package.
    with tempfile.TemporaryDirectory(prefix=f".{package}.", dir=home) as aside:
        place = Path(aside)
        expected = _published_hashes(_run(["apt-cache", "show", package], place, package, mend))
        _run(["apt-get", "download", package], place, package, mend)
        (archive,) = place.glob(f"{package}_*.deb")
        with open(archive, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found not in expected:
            raise MellaError(
                f"{archive.name} has the sha256 {found}, apt publishes {', '.join(sorted(expected)) or 'none'}. "
                "The download was removed; run `apt-get update` and try again."
            )
        _run(["dpkg-deb", "-x", archive.name, "whole"], place, package, mend)
        try:
            (place / "whole").rename(folder)
        except OSError:
            if not folder.is_dir():  # or the other process was first
                raise
    return folder


def _run(command: Sequence[str], cwd: Path, package: str, mend: str) -> str:
    """The output of an apt or dpkg command. Raises MellaError with what to do if it fails."""
    mend = f"Run `apt-get update` once and try again{mend and ', or ' + mend}."
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise MellaError(f"Cannot fetch {package}: the command '{command[0]}' is not installed. {mend}") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines() or [f"exit status {error.returncode}"]
        message = f"Cannot fetch {package}: `{' '.join(command)}` failed: {said[-1]}. {mend}"
        raise MellaError(message) from None
    return done.stdout


def _published_hashes(record: str) -> set[str]:
    """The SHA256 fields of `apt-cache show`."""
    return {line.split(":", 1)[1].strip() for line in record.splitlines() if line.startswith("SHA256:")}
