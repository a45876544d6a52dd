"""The data folder, and the secret that Sluice generates into it once, a file of mode 0600."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gateway.settings import MIN_SECRET, PREFIX, Settings, SettingsError


def prepare_data_dir(settings: Settings) -> None:
    """Make sure that the data folder exists and can be written.

    Raises:
        SettingsError: it cannot be.
    """
    try:
        for folder in (settings.data_dir, settings.spool_dir, settings.models_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = settings.data_dir / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        problem = f"{settings.data_dir} cannot be written ({error.strerror}): choose a folder that this user may write"
        raise SettingsError(PREFIX + "DATA_DIR", problem) from None


def secret_key(settings: Settings) -> str:
    """The secret key: the setting, or the one generated once into the data folder."""
    if settings.secret_key:
        return settings.secret_key
    return _generated(settings.data_dir / "secret.key")


def _generated(path: Path) -> str:
    try:
        if value := _read_key(path):
            return value
        draft = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        _put_once(draft, path)
        return _read_key(path)
    except OSError as error:
        raise SettingsError(PREFIX + "SECRET_KEY", f"{path} cannot be used: {error.strerror}") from None


def _put_once(draft: Path, path: Path) -> None:
    """Give the draft its name, unless another process was first: then its secret is the secret."""
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        draft.replace(path)
    draft.unlink(missing_ok=True)


def _read_key(path: Path) -> str:
    try:
        value = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    if len(value) < MIN_SECRET:
        problem = f"{path} holds no usable key: restore it from a backup, or remove it to make a new one"
        raise SettingsError(path.name, problem)
    return value
