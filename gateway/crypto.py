"""Everything that keeps personal data from being readable at rest: encryption, pseudonyms, masking of excerpts.

All keys derive from one secret string, so an operator has one thing to keep and one thing to lose.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_MIN_CHARS = 16
EXCERPT_AROUND = 40
"""Characters of an excerpt on either side of the match."""
EXCERPT_MATCH = 120
"""Characters of the match itself that an excerpt keeps."""

_FORMAT = b"\x01"
_NONCE_BYTES = 12
_PERSONAL_MARGIN = 96  # longer than any pattern below, so that no window cuts one in half before it was masked

# Bounded repeats, and each begins where a run begins: linear in the excerpt. `\d` is meant to take full-width digits.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}[@＠][A-Za-z0-9-]{1,63}(?:[.．][A-Za-z0-9-]{1,63}){1,4}"
)
_NUMBER = re.compile(
    r"(?<![\dA-Za-z])(?:"
    r"\d{6}[ -]?\d{8}[ -]?\d{3}[\dXxＸｘ](?![\dA-Za-z])"  # resident identity number
    r"|(?:[+＋]?[8８][6６][ -]?)?[1１][ -]?[3-9３-９]\d(?:[ -]?\d){8}(?!\d)"  # mobile number
    r"|[0０]\d{2,3}[ -]\d{7,8}(?!\d)"  # landline
    r"|\d(?:[ -]?\d){12,18}(?!\d)"  # bank card
    r")"
)
_DIGIT = re.compile(r"\d")


class DecryptError(Exception):
    """A sealed value cannot be opened: another secret key, another record, or damage."""


class Cipher:
    """Seals texts to the record that they belong to, and makes pseudonyms.

    Args:
        secret: any string of 16 characters or more (``SLUICE_SECRET_KEY``).

    Raises:
        ValueError: the secret is too short.
    """

    def __init__(self, secret: str) -> None:
        if len(secret) < SECRET_MIN_CHARS:
            msg = f"SLUICE_SECRET_KEY must have {SECRET_MIN_CHARS} characters or more; it has {len(secret)}"
            raise ValueError(msg)
        self._aead = AESGCM(_derive(secret, b"sluice content v1"))
        self._subject_key = _derive(secret, b"sluice subject v1")
        self._file_key = _derive(secret, b"sluice file v1")

    def seal(self, text: str, record_id: str) -> bytes:
        """Encrypt with a fresh nonce; the result opens only under the same record id."""
        nonce = os.urandom(_NONCE_BYTES)
        plain = text.encode("utf-8", "replace")  # a lone surrogate must not cost the record
        return _FORMAT + nonce + self._aead.encrypt(nonce, plain, record_id.encode())

    def open(self, sealed: bytes, record_id: str) -> str:
        """Decrypt what ``seal`` made.

        Raises:
            DecryptError: another secret key, another record id, or damaged bytes.
        """
        if sealed[:1] != _FORMAT:
            msg = f"the content of {record_id} was written in a format that this version does not know"
            raise DecryptError(msg)
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, body, record_id.encode()).decode()
        except (InvalidTag, ValueError):
            msg = (
                f"the content of {record_id} cannot be decrypted: "
                "it was written under another SLUICE_SECRET_KEY, or is damaged"
            )
            raise DecryptError(msg) from None

    def tag(self, parts: Iterable[bytes]) -> bytes:
        """32 bytes that nobody without the secret can make: whether a file is one of ours, unchanged."""
        digest = hashlib.blake2b(key=self._file_key, digest_size=32)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.digest()

    def pseudonym(self, raw: str) -> str:
        """``sub_`` and 26 characters: the same for the same user, and not to be turned back without the secret."""
        digest = hmac.digest(self._subject_key, raw.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return "sub_" + base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def mask_personal(text: str) -> str:
    """The text with e-mail addresses, identity, phone and card numbers as ``*``, one for each character."""
    if "@" in text or "＠" in text:
        text = _EMAIL.sub(_stars, text)
    if _DIGIT.search(text):
        text = _NUMBER.sub(_stars, text)
    return text


def _stars(found: re.Match[str]) -> str:
    return "*" * len(found[0])


def excerpt(text: str, start: int, end: int) -> str:
    """A short window of ``text`` round the span, personal data masked, ``…`` where it was cut."""
    left = max(0, start - EXCERPT_AROUND)
    right = min(len(text), min(end, start + EXCERPT_MATCH) + EXCERPT_AROUND)
    base = max(0, left - _PERSONAL_MARGIN)
    window = mask_personal(text[base : right + _PERSONAL_MARGIN])[left - base : right - base]
    return f"{'…' if left else ''}{window}{'…' if right < len(text) else ''}"


def _derive(secret: str, purpose: bytes) -> bytes:
    kdf = HKDF(algorithm=SHA256(), length=32, salt=b"sluice", info=purpose)
    return kdf.derive(secret.encode("utf-8", "surrogatepass"))
