"""The declared APIs that count now: read from ``SLUICE_APIS``, and swapped whole when a file changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path

import structlog

from gateway.protocols.declared_error import MAX_BYTES, DeclarationError
from gateway.protocols.declared_routes import DeclaredRoutes
from gateway.protocols.types import ProtocolAdapter

POLL_S = 0.5
"""How often the files are read again: a change counts within two seconds."""
SUFFIXES = (".yaml", ".yml")

_log = structlog.get_logger(component="declared_apis")


class DeclaredAPIs:
    """Picks the adapter of a path. Whoever took one keeps it for an exchange's whole life.

    Args:
        path: a YAML file or a folder of such; ``None``: no API is declared.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._files: Mapping[str, str] = {}
        self._are_broken = False  # what these files say cannot be used
        self._problem = ""
        self._polling: asyncio.Task[None] | None = None
        self.routes = DeclaredRoutes()

    def adapter_for(self, method: str, raw_path: str) -> ProtocolAdapter:
        """The adapter for a request line, declared or built in."""
        return self.routes.adapter_for(method, raw_path)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why what counts is not what the files say: for ``/readyz``. Empty when all is well."""
        return (self._problem,) if self._problem else ()

    async def start(self) -> None:
        """Read the files and go on watching them.

        Raises:
            DeclarationError: they cannot be used.
        """
        if self._path is None:
            return
        await asyncio.to_thread(self._load_if_changed, self._path)
        self._polling = asyncio.create_task(self._poll(self._path), name="sluice-apis-poll")

    async def close(self) -> None:
        """Stop watching."""
        if self._polling is not None:
            self._polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._polling

    async def _poll(self, path: Path) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await asyncio.to_thread(self._load_if_changed, path)
            except DeclarationError as error:
                self._break(str(error))
            except Exception as error:  # noqa: BLE001 - the task's outermost frame: a defect must not end the watch
                self._break(f"{type(error).__name__}: {error}")

    def _break(self, problem: str) -> None:
        if problem != self._problem:
            _log.error("apis_broken", reason=problem)
        self._problem = problem

    def _load_if_changed(self, path: Path) -> None:
        # Its schema takes 14 MB, which nobody pays who declares nothing.
        from gateway.protocols.declared_files import read_declarations

        files = read_files(path)
        if files == self._files:
            if not self._are_broken:
                self._problem = ""  # they could not be read for a while
            return
        self._files, self._are_broken = files, True
        routes = read_declarations(files)
        self._are_broken = False
        self.routes, self._problem = routes, ""
        _log.info("apis_active", apis=[api.name for api in routes.apis])


def read_files(path: Path) -> dict[str, str]:
    """The texts of a file, or of the YAML files of a folder, by their paths.

    Raises:
        DeclarationError: one cannot be read.
    """
    try:
        if path.is_dir():
            found = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES and not one.name.startswith("."))
        else:
            found = [path]
        return {str(one): _read(one) for one in found}
    except OSError as error:
        raise DeclarationError(str(error.filename or path), None, f"cannot be read: {error.strerror}") from None


def _read(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise DeclarationError(str(path), None, f"is larger than {MAX_BYTES} bytes")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DeclarationError(str(path), None, f"is not UTF-8: byte {error.start} cannot be read") from None


__all__ = ["DeclaredAPIs", "read_files"]
