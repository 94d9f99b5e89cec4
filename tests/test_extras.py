"""The table of extras agrees with setup.cfg."""

import re
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

from mella_hf.errors import EXTRAS, missing_extra

ROOT = Path(__file__).parents[1]
NOT_IMPORTED = {
    "comet": "runs in an environment of its own",
    "dev": "for working on the library",
    "docs": "likewise",
    "test": "likewise",
}


def listed() -> dict[str, list[str]]:
    """Extra -> packages, of setup.cfg."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    return {name: re.findall(r"^([\w.-]+)", extras[name], re.MULTILINE) for name in extras}


def test_each_package_of_each_extra_is_in_the_table_and_no_other() -> None:
    wanted = {package for name, packages in listed().items() if name not in NOT_IMPORTED for package in packages}
    assert {package for package, _ in EXTRAS.values()} == wanted
    for package, extra in EXTRAS.values():
        assert package in listed()[extra], f"{package} is not in the extra {extra}"


def test_modules_belong_to_the_packages_that_the_table_names() -> None:
    """What is installed here says which package a module is of."""
    owners = packages_distributions()
    for module, (package, _) in EXTRAS.items():
        found = owners.get(module.partition(".")[0])
        if found and module != "google.protobuf":
            assert package.lower().replace("_", "-") in [name.lower().replace("_", "-") for name in found], module


def test_a_missing_module_names_its_extra() -> None:
    error = missing_extra(ModuleNotFoundError("No module named 'rapidfuzz'", name="rapidfuzz.distance"), "ROUGE-L")
    assert str(error) == (
        "ROUGE-L needs the package 'rapidfuzz', which is not installed. Install it with: pip install "
        "'mella_hf[metrics]'"
    )
    assert "pip install 'mella_hf[internvl2]'" in str(missing_extra(ModuleNotFoundError("google", name="google")))
    assert missing_extra(ModuleNotFoundError("?")) is None
    assert missing_extra(ModuleNotFoundError("No module named 'rapid'", name="rapid")) is None
