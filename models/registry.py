"""Model versions on disk, and which of them serves.

Layout under the data folder: ``models/versions/<version>/`` holds a model's files and never changes once it is there;
``models/aliases.json`` names the versions in ``production``, ``candidate`` and ``previous``, and is replaced whole.
Without a production alias the shipped weights serve. A promoted version that turns out damaged is an error, never
silently another model: the caller decides whether to ask for ``SHIPPED`` instead.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from models import ALIASES, SHIPPED_WEIGHTS
from models.card import CARD_FILE, MODEL_FILE, TOKENIZER_FILE, ModelCard, read_checked, write_atomically
from models.onnx_classifier import OnnxClassifier
from models.types import ClassifierError

PRODUCTION, CANDIDATE, PREVIOUS = "production", "candidate", "previous"
SHIPPED = "shipped"
"""Stands for the weights that come with the package, wherever a version is named."""

_ALIASES = (PRODUCTION, CANDIDATE, PREVIOUS)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FILES = (MODEL_FILE, TOKENIZER_FILE, CARD_FILE)


@dataclass(frozen=True, slots=True)
class Installed:
    """A version that can be named, and the aliases that point to it."""

    version: str
    aliases: tuple[str, ...]
    shipped: bool
    card: ModelCard


class Registry:
    """The models of one data folder. Processes may share it: writers take a lock, readers need none."""

    def __init__(self, data_dir: Path, shipped: Path = SHIPPED_WEIGHTS) -> None:
        self._root = data_dir / "models"
        self._aliases = data_dir / ALIASES
        self._shipped = shipped

    def load(self, name: str = PRODUCTION) -> OnnxClassifier:
        """The classifier under an alias or version; the shipped one where nothing was promoted.

        Raises:
            ClassifierError: there is no such version, or its files are damaged.
        """
        return OnnxClassifier.load(self.folder(name))

    def folder(self, name: str = PRODUCTION) -> Path:
        """Where the files of an alias or version lie.

        Raises:
            ClassifierError: there is no such version.
        """
        version = self.aliases().get(name, SHIPPED if name == PRODUCTION else name)
        if version == SHIPPED:
            return self._shipped
        if version in _ALIASES:
            message = f"no model is {version}"
            raise ClassifierError(message)
        folder = self._versions / _checked_version(version)
        if folder.is_dir():
            return folder
        if (self._shipped / CARD_FILE).is_file() and ModelCard.load(self._shipped).version == version:
            return self._shipped
        message = f"no model version {version!r} in {self._versions}; `sluice model list` shows what there is"
        raise ClassifierError(message)

    def aliases(self) -> Mapping[str, str]:
        """Alias to version.

        Raises:
            ClassifierError: the alias file is damaged.
        """
        path = self._aliases
        try:
            data = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, orjson.JSONDecodeError) as error:
            message = f"{path}: cannot read the model aliases: {error}"
            raise ClassifierError(message) from error
        if not isinstance(data, dict) or not all(k in _ALIASES and isinstance(v, str) for k, v in data.items()):
            message = f"{path}: must map {', '.join(_ALIASES)} to versions"
            raise ClassifierError(message)
        return data

    def installed(self) -> list[Installed]:
        """The shipped version, then those in the data folder by name."""
        aliases = dict(self.aliases())
        aliases.setdefault(PRODUCTION, SHIPPED)
        found = [self._described(self._shipped, aliases, shipped=True)] if (self._shipped / CARD_FILE).is_file() else []
        folders = sorted(self._versions.iterdir()) if self._versions.is_dir() else []
        return found + [
            self._described(item, aliases, shipped=False) for item in folders if (item / CARD_FILE).is_file()
        ]

    def add(self, source: Path, alias: str | None = CANDIDATE) -> str:
        """Copy a trained model in, verified, and point ``alias`` to it; adding a version again changes nothing.

        Returns:
            its version.

        Raises:
            ClassifierError: the files of ``source`` are damaged or do not load.
        """
        version = _checked_version(OnnxClassifier.load(source).version)
        with self._writing():
            target = self._versions / version
            if not target.is_dir():
                self._copy(source, target)
            if alias is not None:
                self._save({**self.aliases(), alias: version})
        return version

    def promote(self, name: str) -> str:
        """Make a version serve; what served until now becomes ``previous``.

        Returns:
            the version now in production.

        Raises:
            ClassifierError: there is no such version, or its files are damaged: nothing changes then.
        """
        with self._writing():
            aliases = dict(self.aliases())
            version = SHIPPED if self.folder(name) == self._shipped else aliases.get(name, name)
            self._verify(version)
            before = aliases.get(PRODUCTION, SHIPPED)
            if version != before:
                aliases[PREVIOUS], aliases[PRODUCTION] = before, version
            if aliases.get(CANDIDATE) == version:
                del aliases[CANDIDATE]
            self._save(aliases)
        return version

    def rollback(self) -> str:
        """Make the version before serve again; a second rollback undoes the first.

        Returns:
            the version now in production.

        Raises:
            ClassifierError: there is none before, or its files are damaged.
        """
        previous = self.aliases().get(PREVIOUS)
        if previous is None:
            raise ClassifierError("no model was in production before this one: nothing to roll back to")
        return self.promote(previous)

    @property
    def _versions(self) -> Path:
        return self._root / "versions"

    def _verify(self, version: str) -> None:
        folder = self.folder(version)
        card = ModelCard.load(folder)
        for name in card.files:
            read_checked(folder, name, card.files)

    def _described(self, folder: Path, aliases: Mapping[str, str], *, shipped: bool) -> Installed:
        card = ModelCard.load(folder)
        names = {card.version, SHIPPED} if shipped else {card.version}
        return Installed(card.version, tuple(alias for alias in _ALIASES if aliases.get(alias) in names), shipped, card)

    def _copy(self, source: Path, target: Path) -> None:
        # Into a folder of another name first: a version that is there is there whole.
        waiting = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.rmtree(waiting, ignore_errors=True)
        waiting.mkdir()
        for name in _FILES:
            write_atomically(waiting / name, (source / name).read_bytes())
        waiting.rename(target)

    def _save(self, aliases: Mapping[str, str]) -> None:
        write_atomically(self._aliases, orjson.dumps(aliases, option=orjson.OPT_INDENT_2))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Only one process writes at a time; the lock goes with the process that held it."""
        self._versions.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _checked_version(version: str) -> str:
    # A version becomes a folder's name: nothing that could leave the folder.
    if not _VERSION.fullmatch(version):
        message = f"{version!r} is no model version"
        raise ClassifierError(message)
    return version
