"""What rulesets are built from: the policy in force and the terms that count."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filters.lexicon import LexiconError, Term, read_csv
from filters.policy_text import PolicyError
from gateway.store import Store
from gateway.store.policies import PolicyRecord

if TYPE_CHECKING:
    from filters.policy import Policy

SHIPPED = Path(__file__).parent / "shipped"
SHIPPED_POLICY = SHIPPED / "policy.yaml"
SHIPPED_LEXICON = SHIPPED / "lexicon.csv"
SHIPPED_BENIGN = SHIPPED / "benign.txt"

Origin = Literal["store", "file", "shipped"]


@dataclass(frozen=True, slots=True)
class PolicySource:
    """A policy's text and where it came from: set through the control plane, ``SLUICE_POLICY``, or shipped."""

    body: str
    name: str
    origin: Origin

    def parse(self) -> Policy:
        """The policy.

        Raises:
            PolicyError: the text is no valid policy.
        """
        from filters.policy import Policy  # pydantic takes its time, and compiling a lexicon needs no policy

        return Policy.parse_yaml(self.body, self.name)


def active_policy(store: Store, path: Path | None) -> PolicySource:
    """The policy in force: whichever of file and control plane was changed last.

    That is told by contents, not by clocks, so that several machines agree: a stored policy remembers which file it
    replaced, and counts for as long as the file stays as it was.

    Raises:
        PolicyError: the file cannot be read.
        StoreUnavailable: the store is away.
    """
    file = None if path is None else read_text(path)
    stored = store.policies.active()
    if stored is not None and (file is None or stored.base == fingerprint(file)):
        return PolicySource(stored.body, _name(stored), "store")
    if file is not None:
        return PolicySource(file, str(path), "file")
    return PolicySource(read_text(SHIPPED_POLICY), "shipped policy", "shipped")


def policy_base(path: Path | None) -> str:
    """What a policy that is put into the store now remembers of the file that it replaces."""
    return "" if path is None else fingerprint(read_text(path))


def shipped_terms() -> Sequence[Term]:
    """The terms that come with Sluice.

    Raises:
        LexiconError: the installation is damaged.
    """
    return read_csv(_shipped_text(), SHIPPED_LEXICON.name)


def _shipped_text() -> str:
    try:
        return SHIPPED_LEXICON.read_text(encoding="utf-8")
    except OSError as error:
        raise LexiconError(SHIPPED_LEXICON.name, 1, f"cannot be read: {error.strerror}") from error


def base_terms(base_lexicon: str) -> Sequence[Term]:
    """The terms that ``SLUICE_BASE_LEXICON`` names.

    Raises:
        LexiconError: the installation is damaged.
    """
    return () if base_lexicon == "none" else shipped_terms()


@cache
def base_fingerprint(base_lexicon: str) -> str:
    """Equal for equal base lexicons.

    Raises:
        LexiconError: the installation is damaged.
    """
    return base_lexicon if base_lexicon == "none" else fingerprint(_shipped_text())


def shipped_benign() -> Sequence[str]:
    """Ordinary sentences that come with Sluice, in which no term should be found."""
    return SHIPPED_BENIGN.read_text(encoding="utf-8").splitlines()


def read_text(path: Path) -> str:
    """A policy file's text.

    Raises:
        PolicyError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PolicyError(str(path), None, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PolicyError(str(path), None, f"is not UTF-8: byte {error.start} cannot be read") from None


def fingerprint(text: str) -> str:
    """Equal for equal texts."""
    return hashlib.sha256(text.encode()).hexdigest()


def _name(stored: PolicyRecord) -> str:
    return f"policy {stored.version} set by {stored.author}"
