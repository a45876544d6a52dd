"""The data folder, and the keys that Sluice generates into it once, files of mode 0600."""

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
    return _generated(settings.data_dir / "secret.key", "SECRET_KEY")[0]


def admin_key(settings: Settings) -> tuple[str, bool]:
    """The first admin key, and whether it was generated just now (then it is to be printed, once)."""
    if settings.admin_key:
        return settings.admin_key, False
    return _generated(settings.data_dir / "admin.key", "ADMIN_KEY")


def _generated(path: Path, name: str) -> tuple[str, bool]:
    try:
        if value := _read_key(path):
            return value, False
        fresh = secrets.token_urlsafe(32)
        draft = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(fresh + "\n")
            file.flush()
            os.fsync(file.fileno())
        _put_once(draft, path)
        value = _read_key(path)
    except OSError as error:
        raise SettingsError(PREFIX + name, f"{path} cannot be used: {error.strerror}") from None
    return value, value == fresh


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
