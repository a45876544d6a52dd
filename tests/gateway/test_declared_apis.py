"""The declared APIs in force: taken when their files change, kept when those are broken."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.declared_apis import DeclaredAPIs, read_files
from gateway.protocols.declared_error import MAX_BYTES, DeclarationError

pytestmark = pytest.mark.anyio

ONE = """\
version: 1
apis:
  - name: one
    paths: [/one]
    answer: {texts: [{path: a}]}
"""
TWO = ONE.replace("one", "two")


@pytest.fixture
async def watching():
    """A function that starts watching a path; all are closed at the end."""
    started = []

    async def start(path):
        apis = DeclaredAPIs(path)
        started.append(apis)
        await apis.start()
        return apis

    yield start
    for apis in started:
        await apis.close()


async def until(condition, seconds=2.0):
    """Wait until something holds; a change counts within two seconds."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "the change was not taken in time"
        await asyncio.sleep(0.01)


def name(apis, path):
    """Who reads a path."""
    return apis.adapter_for("POST", path).name


async def test_without_a_setting_nothing_is_declared(watching):
    """Every path is read as it is without declarations, and nothing is watched."""
    apis = await watching(None)
    assert name(apis, "/one") == "generic"
    assert name(apis, "/v1/chat/completions") == "openai.chat"
    assert apis.problems == ()


async def test_a_change_of_the_file_counts(watching, tmp_path: Path):
    """A file that changes is read again; an adapter that an exchange took stays as it is."""
    file = tmp_path / "apis.yaml"
    file.write_text(ONE, encoding="utf-8")
    apis = await watching(file)
    taken = apis.adapter_for("POST", "/one")
    assert taken.name == "one"
    file.write_text(TWO, encoding="utf-8")
    await until(lambda: name(apis, "/two") == "two")
    assert name(apis, "/one") == "generic"
    assert taken.read_response({"a": "文"}).parts[0].channel == "content"


async def test_a_broken_file_keeps_what_counts(watching, tmp_path: Path):
    """A declaration that cannot be used is told, and what counted goes on counting until it is mended."""
    file = tmp_path / "apis.yaml"
    file.write_text(ONE, encoding="utf-8")
    apis = await watching(file)
    file.write_text(ONE + "    nonsense: 1\n", encoding="utf-8")
    await until(lambda: apis.problems)
    assert "apis.yaml:6" in apis.problems[0]
    assert name(apis, "/one") == "one"
    file.unlink()
    await until(lambda: "cannot be read" in apis.problems[0])
    assert name(apis, "/one") == "one"
    file.write_text(ONE.replace("[/one]", "[/one, /three]"), encoding="utf-8")
    await until(lambda: name(apis, "/three") == "one")
    assert apis.problems == ()


async def test_a_file_that_comes_back_as_it_was(watching, tmp_path: Path):
    """A file that was away for a while and says the same is no problem any more."""
    file = tmp_path / "apis.yaml"
    file.write_text(ONE, encoding="utf-8")
    apis = await watching(file)
    file.unlink()
    await until(lambda: apis.problems)
    file.write_text(ONE, encoding="utf-8")
    await until(lambda: not apis.problems)


async def test_a_folder(watching, tmp_path: Path):
    """Every YAML file of a folder counts, also those that come later; one that is broken changes nothing."""
    (tmp_path / "1.yaml").write_text(ONE, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no declaration", encoding="utf-8")
    (tmp_path / ".hidden.yaml").write_text("no declaration", encoding="utf-8")
    apis = await watching(tmp_path)
    (tmp_path / "2.yml").write_text(TWO, encoding="utf-8")
    await until(lambda: name(apis, "/two") == "two")
    (tmp_path / "3.yaml").write_text(TWO, encoding="utf-8")
    await until(lambda: apis.problems)
    assert "declared twice" in apis.problems[0]
    assert [name(apis, path) for path in ("/one", "/two")] == ["one", "two"]


async def test_what_cannot_be_used_at_the_start_is_an_error(watching, tmp_path: Path):
    """A gateway does not start with declarations that it cannot use."""
    file = tmp_path / "apis.yaml"
    file.write_bytes(b"\xff")
    with pytest.raises(DeclarationError, match="not UTF-8"):
        await watching(file)
    with pytest.raises(DeclarationError, match="cannot be read"):
        await watching(tmp_path / "none.yaml")
    file.write_text("#" * (MAX_BYTES + 1), encoding="utf-8")
    with pytest.raises(DeclarationError, match="is larger than"):
        read_files(file)


def test_a_gateway_that_declares_nothing_pays_nothing():
    """The schema of declarations, 14 MB in memory, is not read where no API is declared."""
    program = "import sys, gateway.app; print('gateway.protocols.declared_schema' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
