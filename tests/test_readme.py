"""The README keeps its word: its blocks run against a gateway as it starts, and it names every setting."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.settings import SPECS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- test: ([\w ]+) -->\n```\w+\n(.*?)```", README, re.DOTALL))
DEFAULT_URL = "http://127.0.0.1:8080"


def _need(condition: object, what: str) -> None:
    if not condition:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is missing")
        pytest.skip(f"{what} is missing")


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Give the environment of a newcomer: the default settings, a data folder of its own, ``sluice`` on the path."""
    folder = tmp_path_factory.mktemp("readme")
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "sluice"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gateway "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    return kept | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLUICE_DATA_DIR": str(folder / "data"),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


@pytest.fixture(scope="module")
def url(environment, tmp_path_factory):
    """Give the data plane's URL of a running gateway."""
    folder = tmp_path_factory.mktemp("serve")
    out = folder / "out"
    with out.open("wb") as said, (folder / "err").open("wb") as logged:
        command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--admin-port", "0"]
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=said, stderr=logged)
    try:
        yield _await_url(server, out, folder / "err")
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _await_url(server: subprocess.Popen[bytes], out: Path, err: Path) -> str:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and server.poll() is None:
        if found := re.search(r"data plane\s+(http://\S+)", out.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(err.read_text(encoding="utf-8", errors="replace")[-2000:])


def _run(block: str, program: list[str], environment: dict[str, str], cwd: Path, url: str = "") -> str:
    assert not url or DEFAULT_URL in block
    text = block.replace(DEFAULT_URL, url) if url else block
    done = subprocess.run([*program, text], env=environment, cwd=cwd, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode()


@pytest.fixture
def curl(environment, url, tmp_path):
    """Give a function that runs a ``curl`` block and returns what came back."""
    _need(shutil.which("curl"), "curl")
    return lambda name: _run(BLOCKS[name], ["bash", "-euc"], environment, tmp_path, url)


def test_a_prompt_is_refused(curl):
    """The first block shows a refusal in the API's own shape, with its own sign."""
    choice = json.loads(curl("curl refused"))["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert "抱歉" in choice["message"]["content"]


def test_an_answer_is_masked(curl):
    """The second block shows an answer whose insult became asterisks."""
    content = json.loads(curl("curl masked"))["choices"][0]["message"]["content"]
    assert "*" * len("ugly fat bitch") in content
    assert "ugly" not in content


def test_a_stream_is_stopped(curl):
    """The third block shows a stream that ends in the middle, properly, with nothing of the finding in it."""
    events = [line.removeprefix("data: ") for line in curl("curl stopped").splitlines() if line]
    assert events.pop() == "[DONE]"
    choices = [json.loads(event)["choices"][0] for event in events]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    assert text.startswith("Sure.")
    assert "free spins" not in text
    assert choices[-1]["finish_reason"] == "content_filter"


def test_a_text_is_judged(curl):
    """The fourth block shows a verdict in the shape of OpenAI's endpoint, through separators."""
    result = json.loads(curl("curl moderation"))["results"][0]
    assert result["flagged"]
    assert result["categories"]["illicit"]
    assert "A1.h.drugs" in [category["code"] for category in result["sluice"]["categories"]]


def test_the_official_client(environment, url, tmp_path):
    """The Python block works as it stands, with the official client, in ten lines."""
    block = BLOCKS["python"]
    assert len([line for line in block.splitlines() if line]) <= 10
    said = _run(block, [sys.executable, "-c"], environment, tmp_path, url)
    assert "free spins" not in said
    assert "ended with content_filter" in said
    assert "flagged" in said
    assert "A1.h.drugs" in said


def test_the_command_line(environment, url, tmp_path):
    """Every command of the shell block works, and what was blocked before is on record."""
    assert url
    said = _run(BLOCKS["shell"], ["bash", "-euc"], environment, tmp_path)
    verdicts = [line for line in said.splitlines() if line in {"allow", "flag", "mask", "block"}]
    assert verdicts == ["allow", "block", "block"]
    assert (tmp_path / "violations.csv").exists()
    assert "SLUICE_UPSTREAM" in said


def test_every_setting_is_documented():
    """The table of settings names every setting there is, and none that there is not."""
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(SLUICE_[A-Z_]+)`", table))
    assert named == {spec.variable for spec in SPECS}


def test_the_defaults_are_right():
    """Every default stands in the table as it is in the code."""
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `SLUICE_")]
    for spec in SPECS:
        row = next(row for row in rows if f"`{spec.variable}`" in row)
        assert spec.default is None or spec.default in row.split("|")[2], spec.variable


def test_links_lead_somewhere():
    """No link between the documents is broken."""
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"
