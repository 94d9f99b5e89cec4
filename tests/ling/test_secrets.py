"""No key and no password is in anything that a command prints, logs, caches or writes, whatever a server says back."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from caption_server import CaptionServer
from PIL import Image, ImageDraw
from translation_servers import TranslationServer
from typer.testing import CliRunner

from mella_hf.cli import app

SECRETS = {
    "MELLA_CAPTIONER_KEY": "sk-captioner-1f0c",
    "MELLA_TRANSLATOR_KEY": "sk-translator-2a9d",
    "MELLA_JUDGE_KEY": "sk-judge-3b8e",
    "DEEPL_API_KEY": "deepl-4c7f:fx",
    "LIBRE_API_KEY": "libre-5d6a",
}
PASSWORD = "hunter2-6e5b"  # of an address
ENGLISH = (
    "A small brown bird stands on a thin branch in front of a white wall, and its head is black. Its wings are folded, "
    "and the light comes from the left side."
)
ARABIC = "يقف طائر بني صغير على غصن رفيع أمام جدار أبيض، ورأسه أسود. جناحاه مطويان، والضوء يأتي من الجهة اليسرى."


def echo(server: CaptionServer) -> None:
    """Let a server refuse everything, and say back the key that it got, also where the words are cut off."""

    def refuse(body: dict[str, Any]) -> tuple[int, bytes]:
        key = server.requests[-1][1].get("Authorization", "no key")
        return 400, f"wrong key {key} {'x' * (170 - len(key))} {key} {key}".encode()

    server.refuse = refuse


@pytest.fixture
def home(tmp_path: Path, make_rows: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures, a dataset with test images, and a key for everything."""
    from datasets import Image as Column

    from mella_hf.dataset.write import write_split

    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        image = Image.new("RGB", (220, 180), "white")
        ImageDraw.Draw(image).ellipse((20, 20 + 30 * number, 120 + 30 * number, 150), fill=(90, 60 * number, 30))
        image.save(tmp_path / f"pictures/{number}.png")
    rows = make_rows(3, texts=["قطة على السرير", "بيت في القاهرة", "سمكة في البحر"])
    write_split(rows.cast_column("image", Column(decode=False)).to_list(), tmp_path / "data", "ar", "know_test")
    return tmp_path


def texts_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()


def test_no_secret_is_anywhere(home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def mella(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["mella", *map(str, arguments)])
        result = CliRunner().invoke(app, [*map(str, arguments), "--log-file", str(home / "log.txt")])
        said.append(f"{result.output}\n{result.exception!r}\n{result.exception}")
        return result.exit_code

    with (
        CaptionServer(lambda image, prompt: ENGLISH) as good,
        CaptionServer(lambda image, prompt: ENGLISH) as bad,
        TranslationServer(lambda text, target: ARABIC, key=SECRETS["LIBRE_API_KEY"]) as libre,
        TranslationServer(key="another") as refusing,
    ):
        echo(bad)
        describe = ["describe", home / "pictures", "--languages", "ar", "--captioner", "m", "--no-qe", "--test-size", 0]
        fine = [*describe, "--out", home / "fine", "--endpoint", good.url, "--translator", "libre"]
        with_password = good.url.replace("://", f"://layla:{PASSWORD}@")
        assert mella(*fine, "--translator-url", libre.url.replace("://", f"://layla:{PASSWORD}@")) == 0
        assert mella(*fine, "--translator-url", libre.url, "--dry-run") == 0
        for number, more in enumerate((
            ["--endpoint", bad.url, "--translator", "libre", "--translator-url", libre.url],
            ["--endpoint", with_password, "--translator", "libre", "--translator-url", libre.url],
            ["--endpoint", good.url, "--translator", "chat:m", "--translator-url", bad.url],
            ["--endpoint", good.url, "--translator", "chat:m", "--translator-url", f"http://u:{PASSWORD}@127.0.0.1:9/v1"],
            ["--endpoint", good.url, "--translator", "deepl", "--translator-url", refusing.url],
            ["--endpoint", good.url, "--translator", "libre", "--translator-url", f"ftp://u:{PASSWORD}@host"],
        )):  # fmt: skip
            mella(*describe, "--out", home / f"faulty-{number}", *more)
        evaluate = ["evaluate", "--base", "m", "--languages", "ar", "--split", "know_test", "--data-dir", home / "data"]
        assert mella(*evaluate, "--out", home / "run", "--endpoint", good.url) == 0
        assert mella(*evaluate, "--out", home / "run-bad", "--endpoint", bad.url) != 0
        assert mella(*evaluate, "--out", home / "run-password", "--endpoint", with_password) != 0
        judge = ["judge", home / "run", "--model", "j", "--data-dir", home / "data"]
        assert mella(*judge, "--endpoint", bad.url) != 0
        assert mella(*judge, "--endpoint", with_password) != 0
        new = ["languages", "new", "ga", "--out", home / "languages"]
        mella(*new, "--translator", "libre", "--translator-url", refusing.url)
        assert len(bad.requests) > 3 and any(headers.get("Authorization") for _, headers in bad.requests)
    assert any("***" in text for text in said)  # a key that a server said back is shown as this
    found = [*((f"output {number}", text.encode()) for number, text in enumerate(said)), ("log", caplog.text.encode())]
    found += texts_in(home)
    secrets = [*SECRETS.values(), PASSWORD]
    # Ten characters of a key are a leak as well.
    leaks = {(where, secret) for where, text in found for secret in secrets if secret[:10].encode() in text}
    assert not leaks, json.dumps(sorted(leaks), indent=1)
    assert os.environ["DEEPL_API_KEY"] == SECRETS["DEEPL_API_KEY"]
