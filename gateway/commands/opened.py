"""What commands work on: the settings and the store that they name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.crypto import Cipher
    from gateway.store import Store


def load_settings() -> Settings:
    """The settings of this call; what looks like a mistake in them is said."""
    from gateway.commands.terminal import note

    settings = Settings.load()
    for warning in settings.warnings:
        note(f"sluice: {warning}")
    return settings


def cipher_of(settings: Settings) -> Cipher:
    """The cipher of the secret key, which is generated where there is none yet."""
    from gateway import keyfiles
    from gateway.crypto import Cipher

    return Cipher(keyfiles.secret_key(settings))


def on_this_machine() -> str:
    """Whoever runs this command, as histories name them."""
    import os
    import pwd

    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user often has no name
        user = f"user {os.getuid()}"
    return f"{user} on the command line"


@contextlib.contextmanager
def changing_terms(settings: Settings, store: Store) -> Iterator[None]:
    """What is done inside changes the terms; what every worker then loads is compiled here, before this returns."""
    from gateway.compiled import CompiledLexicons
    from gateway.memory import no_collection

    compiled = CompiledLexicons(store, settings.base_lexicon, folder=settings.compiled_dir, cipher=cipher_of(settings))
    with no_collection(), compiled.held():  # workers that see the change wait for what is compiled here
        yield
        compiled.prepare()


@contextlib.contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """The store, its schema up to date.

    Raises:
        SettingsError: the data folder or the database cannot be used.
        StoreError: the database is of a newer version.
    """
    from gateway import keyfiles
    from gateway.databases import migrated
    from gateway.store import Store

    keyfiles.prepare_data_dir(settings)
    store = Store(settings.database_url, cipher_of(settings))
    try:
        migrated(store, settings)
        yield store
    finally:
        store.close()
