"""``python -m gateway.compiling``: compile a lexicon in a process of its own, so that no worker's loop stands still.

It is told the database on stdin, as JSON, and answers on stdout: a line of JSON, and the compiled lexicon's parts.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from typing import IO, Any

import orjson

from filters import compiled
from filters.lexicon import Lexicon, LexiconError
from gateway.sources import base_terms
from gateway.store import Store, StoreError, StoreUnavailable

Parts = dict[str, bytes]
_NICE = 5


class CompilingFailed(Exception):  # noqa: N818 - the child's end, not a mistake of the caller
    """The process ended without an answer."""


def compile_stored(store: Store, base_lexicon: str) -> tuple[int, compiled.CompiledLexicon]:
    """Compile here: the edition of the stored terms, and those in force with the base lexicon.

    Raises:
        StoreError: the store is away.
        LexiconError: the shipped lexicon cannot be read.
    """
    edition, terms = store.terms.snapshot()
    return edition, compiled.compile_lexicon(Lexicon([*base_terms(base_lexicon), *terms]))


def compile_apart(
    store: Store, base_lexicon: str, started: Callable[[subprocess.Popen[bytes]], None]
) -> tuple[int, Parts]:
    """The same in another process, as parts to load. Waits for it, so call it in a thread.

    Args:
        store: whose terms.
        base_lexicon: ``shipped`` or ``none``.
        started: given the process, so that it can be ended.

    Raises:
        StoreError: the store is away.
        LexiconError: the shipped lexicon cannot be read.
        CompilingFailed: the process could not be started, or ended early.
    """
    request = orjson.dumps({"url": store.url, "base_lexicon": base_lexicon})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", __name__]
    try:
        process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
    except OSError as error:
        raise CompilingFailed(str(error)) from error
    with process:
        started(process)
        assert process.stdin is not None  # noqa: S101 - it was asked for
        assert process.stdout is not None  # noqa: S101 - the same
        try:
            process.stdin.write(request)
            process.stdin.close()
        except BrokenPipeError as error:
            raise CompilingFailed("the process ended at once") from error
        return _read_answer(process.stdout)


def _read_answer(answer: IO[bytes]) -> tuple[int, Parts]:
    line = answer.readline()
    if not line.endswith(b"\n"):
        raise CompilingFailed("the process ended without an answer")
    head = orjson.loads(line)
    if "store" in head:
        raise StoreUnavailable(head["store"])
    if "lexicon" in head:
        raise LexiconError(*head["lexicon"])
    parts = {name: answer.read(size) for name, size in head["parts"]}
    if any(len(parts[name]) != size for name, size in head["parts"]):
        raise CompilingFailed("the process ended in the middle of its answer")
    return head["edition"], parts


def main() -> None:
    """Do what stdin asks for."""
    os.nice(_NICE)
    gc.disable()
    request = orjson.loads(sys.stdin.buffer.read())
    store = Store(request["url"])
    parts: Parts = {}
    head: dict[str, Any]
    try:
        edition, lexicon = compile_stored(store, request["base_lexicon"])
        parts = compiled.dump(lexicon)
        head = {"edition": edition, "parts": [[name, len(part)] for name, part in parts.items()]}
    except StoreError as error:
        head = {"store": str(error)}
    except LexiconError as error:
        head = {"lexicon": [error.file, error.line, error.reason]}
    sys.stdout.buffer.write(orjson.dumps(head) + b"\n")
    for part in parts.values():
        sys.stdout.buffer.write(part)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
