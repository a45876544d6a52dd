"""Compiled lexicons: made once, loaded everywhere, and never believed without their tag."""

import contextlib
import os
import stat
import subprocess
import sys
import threading
import time

import pytest

from filters.compiled import CompiledLexicon
from filters.lexicon import Lexicon, LexiconError, Term
from gateway import compiled, compiling
from gateway.compiled import CompiledLexicons
from gateway.crypto import Cipher
from gateway.store import Store, StoreUnavailable

TERMS = [Term("炸药", "A1.h.weapons_cbrne"), Term("大麻", "A1.h.drugs", unless=("大麻烦",)), Term("甲乙", "A1.d")]


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch):
    """Every lexicon is compiled as a large one would be."""
    monkeypatch.setattr(compiled, "SMALL", 0)


@pytest.fixture
def folder(tmp_path):
    """Where compiled lexicons are kept; not there yet."""
    return tmp_path / "data" / "compiled"


@pytest.fixture
def lexicons(sqlite_store, folder, cipher):
    """A function that opens what one process has: everything in it shares the store and the folder."""
    return lambda **options: CompiledLexicons(sqlite_store, "none", **{"folder": folder, "cipher": cipher, **options})


@pytest.fixture
def children(monkeypatch):
    """How often a process was started to compile; the list of editions that they saw."""
    seen = []
    real = compiled.compile_apart

    def counted(*arguments):
        edition, parts = real(*arguments)
        seen.append(edition)
        return edition, parts

    monkeypatch.setattr(compiled, "compile_apart", counted)
    return seen


def finds(lexicon, text):
    """The rules that a lexicon finds in a text."""
    scanner = lexicon.filters[0].open()
    return [match.rule for match in (*scanner.feed(text), *scanner.finish())]


def files(folder):
    """The compiled lexicons that are kept, oldest first."""
    return sorted(folder.glob("*.compiled"), key=lambda path: path.stat().st_mtime_ns)


def test_one_compiles_and_the_others_load(sqlite_store, lexicons, folder, children):
    """The first process that needs a lexicon has it compiled; later ones load the file, and all decide the same."""
    sqlite_store.terms.upsert(TERMS)
    key, first = lexicons().get()
    again, second = lexicons().get()
    assert key == again == lexicons().key()
    assert len(children) == 1
    assert first.version == second.version == Lexicon(TERMS).version
    assert len(second) == 3
    assert finds(second, "有大麻烦，炸 药和大麻") == finds(first, "有大麻烦，炸 药和大麻") == ["炸药", "大麻"]
    (file,) = files(folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_many_at_once_compile_once(sqlite_store, lexicons, children):
    """Workers that see a change at the same moment wait for the one that compiles."""
    sqlite_store.terms.upsert(TERMS)
    found = []
    threads = [threading.Thread(target=lambda: found.append(lexicons().get()[1].version)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Lexicon(TERMS).version] * 4
    assert len(children) == 1


def test_every_change_is_another_lexicon(sqlite_store, lexicons, children):
    """An added, replaced or deleted term is never answered from the file of what was before."""
    seen = set()
    for change in (
        lambda: sqlite_store.terms.upsert(TERMS[:1]),
        lambda: sqlite_store.terms.upsert(TERMS[1:]),
        lambda: sqlite_store.terms.delete(sqlite_store.terms.list().items[0].id),
        lambda: sqlite_store.terms.replace(TERMS[:1]),
        lambda: sqlite_store.terms.replace([]),
    ):
        change()
        key, lexicon = lexicons().get()
        seen.add(key)
        assert lexicon.version == Lexicon(sqlite_store.terms.all()).version
    assert len(seen) == 5


def test_a_change_of_policy_compiles_nothing(sqlite_store, lexicons, children):
    """A policy that is set raises the revision, and leaves the lexicon what it was."""
    sqlite_store.terms.upsert(TERMS)
    key, _ = lexicons().get()
    sqlite_store.policies.put("mode: monitor\n", "v", "Wang")
    assert lexicons().get()[0] == key
    assert len(children) == 1


def test_a_restored_database_is_told_from_the_newer_one(sqlite_store, lexicons, tmp_path, sqlite_url, children):
    """After a backup was restored the same revision means other terms, and what was compiled before is not taken."""
    sqlite_store.terms.upsert(TERMS[:1])
    sqlite_store.close()
    backup = (tmp_path / "sluice.db").read_bytes()
    sqlite_store.terms.upsert(TERMS[1:2])
    newer, _ = lexicons().get()
    revision = sqlite_store.rulesets.active_revision()
    sqlite_store.close()
    for leftover in tmp_path.glob("sluice.db-*"):
        leftover.unlink()
    (tmp_path / "sluice.db").write_bytes(backup)
    sqlite_store.terms.upsert(TERMS[2:])
    assert sqlite_store.rulesets.active_revision() == revision
    key, lexicon = lexicons().get()
    assert key != newer
    assert finds(lexicon, "大麻甲乙") == ["甲乙"]


def test_base_lexicon_and_address_are_part_of_the_key(sqlite_store, lexicons, folder, cipher, tmp_path):
    """Processes of other settings that share the folder never load each other's lexicons."""
    other = Store(f"sqlite:///{tmp_path}/other.db")
    other.migrate()
    keys = {
        lexicons().key(),
        CompiledLexicons(sqlite_store, "shipped", folder=folder, cipher=cipher).key(),
        CompiledLexicons(other, "none", folder=folder, cipher=cipher).key(),
    }
    other.close()
    assert len(keys) == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty", "other secret", "renamed", "folder"])
def test_a_damaged_file_is_made_anew(sqlite_store, lexicons, folder, children, damage):
    """A file that was cut off, changed, made with another secret or given another's name is not believed."""
    sqlite_store.terms.upsert(TERMS)
    lexicons().get()
    (file,) = files(folder)
    data = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(data[:-1])
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif damage == "foreign":
        file.write_bytes(b"\x80\x04" + bytes(100))
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "folder":
        file.unlink()
        file.mkdir()
    elif damage == "renamed":
        sqlite_store.terms.upsert([Term("丙丁", "A1.d")])
        file.rename(folder / f"{lexicons().key()}.compiled")
    changed = Cipher("another secret of 16") if damage == "other secret" else None
    _, lexicon = lexicons(**({"cipher": changed} if changed else {})).get()
    assert finds(lexicon, "炸药") == ["炸药"]
    assert finds(lexicon, "丙丁") == (["丙丁"] if damage == "renamed" else [])
    assert len(children) == 2


def test_old_ones_are_removed(sqlite_store, lexicons, folder, children):
    """A few of the newest stay, and what a crash left half written goes after an hour."""
    folder.mkdir(parents=True)
    left, fresh = folder / ".abc-1234", folder / ".abd-1234"
    left.write_bytes(b"")
    fresh.write_bytes(b"")
    os.utime(left, (1, 1))
    for at in range(5):
        sqlite_store.terms.upsert([Term(f"词{at}号", "A1.d")])
        key, _ = lexicons().get()
    assert len(files(folder)) == 3
    assert (folder / f"{key}.compiled").exists()
    assert not left.exists()
    assert fresh.exists()


def test_without_a_folder_it_is_compiled_every_time(sqlite_store, lexicons, children):
    """Where nothing can be kept, each process has its own compiled."""
    sqlite_store.terms.upsert(TERMS)
    for _ in range(2):
        _, lexicon = lexicons(folder=None).get()
        assert finds(lexicon, "炸药") == ["炸药"]
    assert len(children) == 2


def test_a_folder_that_cannot_be_written_is_no_obstacle(sqlite_store, lexicons, tmp_path, children):
    """A data folder that became unwritable costs time, not the lexicon."""
    sqlite_store.terms.upsert(TERMS)
    (tmp_path / "file").write_bytes(b"")
    _, lexicon = lexicons(folder=tmp_path / "file" / "compiled").get()
    assert isinstance(lexicon, CompiledLexicon)
    assert len(children) == 1


def test_a_process_that_dies_is_no_obstacle(sqlite_store, lexicons, monkeypatch):
    """Where no process can be started, or it is killed, the lexicon is compiled here after all."""
    sqlite_store.terms.upsert(TERMS)
    monkeypatch.setattr(compiling.sys, "executable", "/nonexistent/python")
    assert finds(lexicons().get()[1], "炸药") == ["炸药"]
    monkeypatch.setattr(compiling.sys, "executable", "/bin/false")
    assert finds(lexicons().get()[1], "炸药") == ["炸药"]


def test_closing_ends_the_process(sqlite_store, lexicons, monkeypatch):
    """A gateway that stops while a lexicon is compiled does not wait for it."""
    sqlite_store.terms.upsert(TERMS)
    closing = lexicons()
    follow = closing._follow

    def close_at_once(child):
        follow(child)
        closing.close()

    monkeypatch.setattr(closing, "_follow", close_at_once)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        closing.get()
    assert time.monotonic() - started < 5


def test_problems_of_the_process_are_told(sqlite_store, monkeypatch, tmp_path):
    """A store that is away in the other process is one here, and so is a damaged installation."""
    away = Store(f"sqlite:///{tmp_path}/none/sluice.db")
    with pytest.raises(StoreUnavailable, match="unable to open"):
        compiling.compile_apart(away, "none", lambda _: None)
    with pytest.raises(LexiconError, match=r"lexicon\.csv:7: torn"):
        compiling._read_answer(_Answer(b'{"lexicon": ["lexicon.csv", 7, "torn"]}\n'))
    with pytest.raises(compiling.CompilingFailed, match="middle"):
        compiling._read_answer(_Answer(b'{"edition": 1, "parts": [["about", 10]]}\nabc'))


class _Answer:
    def __init__(self, data):
        self.line, _, self.rest = data.partition(b"\n")

    def readline(self):
        return self.line + b"\n"

    def read(self, size):
        return self.rest[:size]


def test_a_holder_is_waited_for(sqlite_store, lexicons, folder, children):
    """While the command line stores terms, workers wait, and then load what it compiled."""
    importer, worker = lexicons(), lexicons()
    found = []
    with importer.held():
        sqlite_store.terms.upsert(TERMS)
        thread = threading.Thread(target=lambda: found.append(worker.get()[1].version))
        thread.start()
        time.sleep(0.2)
        assert not found
        importer.prepare()
    thread.join()
    assert found == [Lexicon(TERMS).version]
    assert not children


def test_a_holder_that_hangs_is_not_waited_for_too_long(sqlite_store, lexicons, monkeypatch, children):
    """Past the patience everybody helps themselves; a holder that was killed holds nothing."""
    monkeypatch.setattr(compiled, "PATIENCE_S", 0.2)
    sqlite_store.terms.upsert(TERMS)
    with lexicons().held():
        assert finds(lexicons().get()[1], "炸药") == ["炸药"]
    assert len(children) == 1


def test_a_killed_holder_holds_nothing(sqlite_store, lexicons, folder, children):
    """An import that is killed half way leaves no lock behind."""
    lexicons().key()
    code = (
        "import sys, time; from pathlib import Path; from gateway.compiled import CompiledLexicons\n"
        "from gateway.crypto import Cipher; from gateway.store import Store\n"
        "store, folder, cipher = Store(sys.argv[1]), Path(sys.argv[2]), Cipher('x' * 16)\n"
        "held = CompiledLexicons(store, 'none', folder=folder, cipher=cipher).held()\n"
        "held.__enter__(); print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, sqlite_store.url, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        sqlite_store.terms.upsert(TERMS)
        holder.kill()
    started = time.monotonic()
    lexicons().get()
    assert time.monotonic() - started < 10
    assert len(children) == 1


def test_a_small_lexicon_starts_no_process(sqlite_store, lexicons, folder, children, monkeypatch):
    """A newcomer's few terms are compiled at once, and nothing is written."""
    monkeypatch.setattr(compiled, "SMALL", 4000)
    sqlite_store.terms.upsert(TERMS)
    assert finds(lexicons().get()[1], "炸药") == ["炸药"]
    lexicons().prepare()
    assert not children
    with contextlib.suppress(FileNotFoundError):
        assert not files(folder)
