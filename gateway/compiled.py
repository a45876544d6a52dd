"""Compiled lexicons on disk: whoever compiles one first keeps it, and every other process loads it.

A file is named by everything that its contents depend on, so it never has to be compared with the store: another
edition of the terms, another base lexicon or other code is another name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import orjson

from filters import compiled
from filters.automaton import engine_version
from filters.compiled import CompiledLexicon
from gateway import logs
from gateway.compiling import CompilingFailed, Parts, compile_apart, compile_stored
from gateway.crypto import Cipher
from gateway.sources import base_fingerprint
from gateway.store import Store, StoreUnavailable

SMALL = 4000
"""Up to so many imported terms are compiled where they are needed: that is sooner done than a process is started."""
PATIENCE_S = 20.0
"""How long one waits for another that is compiling. Past it both do."""

_SUFFIX = ".compiled"
_KEPT = 3
_MAGIC = b"sluice compiled lexicon 2\n"
_TAG_BYTES = 32
_STALE_S = 3600.0
_log = logs.get_logger("gateway.compiled")


class CompiledLexicons:
    """The compiled form of what a store holds, with a base lexicon. Synchronous; for one thread at a time.

    Args:
        store: whose terms.
        base_lexicon: ``shipped`` or ``none``.
        folder: where compiled lexicons are kept; without one, nothing is kept.
        cipher: tells files of ours from others; without one, nothing is kept.
    """

    def __init__(
        self, store: Store, base_lexicon: str, *, folder: Path | None = None, cipher: Cipher | None = None
    ) -> None:
        self._store = store
        self._base_lexicon = base_lexicon
        self._folder = folder if cipher is not None else None
        self._cipher = cipher
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def key(self) -> str:
        """Equal as long as the same lexicon is in force.

        Raises:
            StoreError: the store is away.
            LexiconError: the shipped lexicon cannot be read.
        """
        return self._key_of(self._store.terms.edition())

    def get(self) -> tuple[str, CompiledLexicon]:
        """The lexicon in force and its key: loaded where it was compiled before, else compiled.

        Raises:
            StoreError: the store is away.
            LexiconError: the shipped lexicon cannot be read.
        """
        key = self.key()
        if (known := self._load(key)) is not None:
            return key, known
        if self._store.terms.count() <= SMALL:
            return self._compile_here()
        with self.held():
            key = self.key()
            if (known := self._load(key)) is not None:
                return key, known
            try:
                edition, parts = compile_apart(self._store, self._base_lexicon, self._follow)
            except CompilingFailed as error:
                if self._closed:
                    raise StoreUnavailable("closing") from error
                _log.warning("lexicon_compiled_in_process", reason=str(error))
                return self._compile_here()
            key = self._key_of(edition)
            self._keep(key, parts)
        return key, compiled.load(parts)

    def prepare(self) -> None:
        """Compile here and keep it, so that others only load; for a process that serves nobody."""
        if self._folder is None or self._store.terms.count() <= SMALL:
            return
        edition, lexicon = compile_stored(self._store, self._base_lexicon)
        self._keep(self._key_of(edition), compiled.dump(lexicon))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from compiling, wherever they share the folder: they wait, and find what was kept meanwhile."""
        lock = self._open_lock()
        try:
            if lock is not None:
                _wait_for(lock)
            yield
        finally:
            if lock is not None:
                os.close(lock)

    def close(self) -> None:
        """End the process that compiles, if there is one; may be called from another thread."""
        self._closed = True
        if self._child is not None and self._child.poll() is None:
            self._child.kill()

    def _follow(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        if self._closed:
            child.kill()

    def _compile_here(self) -> tuple[str, CompiledLexicon]:
        edition, lexicon = compile_stored(self._store, self._base_lexicon)
        compiled.prepare()
        return self._key_of(edition), lexicon

    def _key_of(self, edition: int) -> str:
        parts = (self._store.url, str(edition), base_fingerprint(self._base_lexicon), _code())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    # --- files -----------------------------------------------------------------------------------------------------

    def _open_lock(self) -> int | None:
        if self._folder is None:
            return None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            return None  # then each does its own

    def _load(self, key: str) -> CompiledLexicon | None:
        if self._folder is None or self._cipher is None:
            return None
        path = self._folder / (key + _SUFFIX)
        try:
            tag, parts = _read(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            _log.warning("compiled_lexicon_unreadable", file=path.name, reason=reason)
            return None
        if not secrets.compare_digest(tag, self._tag(self._cipher, key, parts)):
            _log.warning("compiled_lexicon_unreadable", file=path.name, reason="changed, or made with another secret")
            return None
        return compiled.load(parts)

    def _keep(self, key: str, parts: Parts) -> None:
        if self._folder is None or self._cipher is None:
            return
        draft = self._folder / f".{key}-{secrets.token_hex(4)}"
        sizes = orjson.dumps([[name, len(part)] for name, part in parts.items()])
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb", buffering=0) as file:
                head = (_MAGIC, self._tag(self._cipher, key, parts), len(sizes).to_bytes(4, "big"), sizes)
                for piece in (b"".join(head), *parts.values()):
                    _write(file.fileno(), piece)
            draft.replace(self._folder / (key + _SUFFIX))
            self._prune()
        except OSError as error:
            _log.warning("compiled_lexicon_not_kept", reason=error.strerror)
            with contextlib.suppress(OSError):
                draft.unlink()

    def _tag(self, cipher: Cipher, key: str, parts: Parts) -> bytes:
        named = (piece for name, part in parts.items() for piece in (name.encode(), part))
        return cipher.tag((key.encode(), *named))

    def _prune(self) -> None:
        """Keep the newest few, for processes with other settings may share the folder; remove what crashes left."""
        if self._folder is None:
            return
        files = sorted(self._folder.glob(f"*{_SUFFIX}"), key=_age)
        drafts = [path for path in self._folder.glob(".*-*") if _age(path) > _STALE_S]
        for old in (*files[_KEPT:], *drafts):
            old.unlink(missing_ok=True)


def _read(path: Path) -> tuple[bytes, Parts]:
    """A file's tag and parts. Each part is read by itself, so that nobody waits long for the interpreter.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none of ours, or cut off.
    """
    with path.open("rb", buffering=0) as file:
        head = file.read(len(_MAGIC) + _TAG_BYTES + 4)
        left = os.fstat(file.fileno()).st_size - len(head)
        size = int.from_bytes(head[-4:], "big")
        if not head.startswith(_MAGIC) or size > left:
            raise ValueError("no compiled lexicon of this version")
        sizes = orjson.loads(file.read(size))
        if sum(part for _, part in sizes) != left - size:
            raise ValueError("cut off")
        parts = {str(name): file.read(part) for name, part in sizes}
    return head[len(_MAGIC) : -4], parts


def _write(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _wait_for(lock: int) -> None:
    patience = time.monotonic() + PATIENCE_S
    while time.monotonic() < patience:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.02)
        else:
            return


@cache
def _code() -> str:
    """What the form and the meaning of a compiled lexicon depend on, beside its terms."""
    digest = hashlib.sha256(f"{sys.byteorder} {sys.maxsize} {engine_version()}".encode())
    package = resources.files("filters")
    sources = [item for item in package.iterdir() if item.name.endswith(".py")]
    tables = [item for item in (package / "data").iterdir() if item.name.endswith(".txt")]
    for item in sorted([*sources, *tables], key=lambda item: item.name):
        digest.update(item.name.encode() + b"\0" + hashlib.sha256(item.read_bytes()).digest())
    return digest.hexdigest()
