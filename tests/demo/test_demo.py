"""The demo: killed between and within its stages, it ends with the files of an undisturbed run, bit for bit."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kill_points import killed_at

from mella_hf.demo.run import run_demo
from mella_hf.errors import MellaError

DRIVER = Path(__file__).with_name("demo_driver.py")

# English and Arabic names of everyday things, as the stamps' translators would write them.
NAMES = {
    "A house.": "بيت كبير.", "A tree.": "شجرة خضراء.", "A car.": "سيارة حمراء.", "A book.": "كتاب مفتوح.",
    "A fish.": "سمكة صغيرة.", "A door.": "باب خشبي.", "A star.": "نجمة لامعة.", "A flower.": "زهرة جميلة.",
    "A bird.": "طائر أزرق.", "A boat.": "قارب شراعي.", "A clock.": "ساعة الحائط.", "An apple.": "تفاحة حمراء.",
    "A chair.": "كرسي خشبي.", "A lamp.": "مصباح الطاولة.", "A train.": "قطار سريع.", "A cup.": "فنجان قهوة.",
    "A shoe.": "حذاء جلدي.", "A key.": "مفتاح قديم.", "A hat.": "قبعة صوفية.", "A bridge.": "جسر حجري.",
    "A mountain.": "جبل عال.", "A cloud.": "غيمة بيضاء.", "A lion.": "أسد الغابة.", "A bread.": "رغيف خبز.",
}  # fmt: skip


def draw_stamps(root: Path) -> None:
    """A folder in the shape of the package: transparent PNGs beside texts."""
    from PIL import Image, ImageDraw

    for number, (english, arabic) in enumerate(NAMES.items()):
        rng = random.Random(number)
        image = Image.new("RGBA", (160, 120 + 10 * (number % 5)), (0, 0, 0, 0))
        pen = ImageDraw.Draw(image)
        for _ in range(6):
            x, y = rng.randrange(110), rng.randrange(90)
            colour = tuple(rng.randrange(256) for _ in range(3)) + (255,)
            rng.choice([pen.ellipse, pen.rectangle])(
                (x, y, x + rng.randrange(15, 50), y + rng.randrange(15, 40)), colour
            )
        folder = root / "things" / f"kind-{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"thing-{number:02d}.png")
        (folder / f"thing-{number:02d}.txt").write_text(f"{english}\nar.utf8={arabic}\n", "utf-8")


def run(source: Path, out: Path, kill_at: str | None = None) -> int:
    """The exit status of a demo, which SIGKILL may end before it writes or renames a file whose path matches."""
    environment = {**os.environ, "HF_DATASETS_CACHE": str(out.parent / "cache"), "OMP_NUM_THREADS": "1"}
    if kill_at:
        environment = killed_at(kill_at, environment)
    with open(out.with_suffix(".log"), "ab") as log:
        command = [sys.executable, str(DRIVER), str(source), str(out)]
        return subprocess.run(command, stdout=log, stderr=log, start_new_session=True, env=environment).returncode


def results(out: Path) -> dict[str, bytes]:
    """The files that count: dataset, base, adapter, answers, scores."""
    wanted = ["mella/**/*.parquet", "mella/*.json", "mella/README.md", "mella/rejects/*", "base/model/*.safetensors"]
    wanted += ["ar/train/adapter/*.safetensors", "ar/evaluation/predictions/*/*.jsonl", "ar/adapter/*.safetensors"]
    return {str(p.relative_to(out)): p.read_bytes() for pattern in wanted for p in sorted(out.glob(pattern))}


@pytest.mark.slow
def test_killed_anywhere_it_ends_the_same(tmp_path: Path) -> None:
    source, out = tmp_path / "stamps", tmp_path / "demo"
    draw_stamps(source)
    assert run(source, out) == 0, out.with_suffix(".log").read_text("utf-8")[-3000:]
    expected = results(out)
    kinds = {name.split("/")[0] + "/" + name.split("/")[1] for name in expected}
    assert {"mella/ar", "base/model", "ar/train", "ar/evaluation", "ar/adapter"} <= kinds
    assert (out / "ar/evaluation/report.html").exists()
    out.rename(tmp_path / "undisturbed")

    for point in (
        "/rendered/train/.partial/",  # a first shard is whole and not published
        "/base/english/checkpoint-4/trainer_state.json",  # within the base's training, with half a checkpoint
        "/ar/train/checkpoint-4/trainer_state.json",  # within the adapter's
        "/ar/evaluation/predictions/base/ling_test.*partial",  # within the answers
    ):
        assert run(source, out, point) == -signal.SIGKILL, f"it was not killed at {point}"
    assert not (out / "ar/adapter").exists()
    assert run(source, out) == 0, out.with_suffix(".log").read_text("utf-8")[-3000:]
    found = results(out)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def test_errors_come_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="Unknown language 'xx'; choose one of ar, cs, hu, ko, ru, sr, th, vi"):
        run_demo("xx", tmp_path / "out")
    with pytest.raises(MellaError, match="The stamps folder .*nowhere does not exist; remove --source"):
        run_demo("ar", tmp_path / "out", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MellaError, match=r"No stamps under .*empty: expected NAME\.png beside NAME\.txt"):
        run_demo("ar", tmp_path / "out", tmp_path / "empty")
    assert not (tmp_path / "out").exists()
