"""The ruleset that decides now, rebuilt and swapped whole when policy or terms change."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import structlog

from filters.compiled import CompiledLexicon
from filters.lexicon import LexiconError
from filters.policy import Policy, PolicyError
from filters.ruleset import Ruleset
from filters.taxonomy import TaxonomyError
from gateway import memory
from gateway.classifier_loading import ClassifierRefused
from gateway.compiled import CompiledLexicons
from gateway.crypto import Cipher
from gateway.sources import PolicySource, active_policy, fingerprint, read_text
from gateway.store import Store, StoreError
from gateway.store.terms import moment_now
from models.types import Classifier, ClassifierError

POLL_S = 0.25
"""How often the store is asked for its revision: with loading and building, a change counts within two seconds."""

RETRY_S = 30.0
"""How often a policy is tried again whose classifier could not be loaded."""

REFUSED = "a change of policy or lexicon was refused, the running ruleset stays: the control plane and the log say why"

LoadClassifier = Callable[[Policy, PolicySource], Classifier | None]

_log = structlog.get_logger(component="moderator")


class NotReady(RuntimeError):  # noqa: N818 - a state that passes
    """No ruleset was built yet."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a ruleset was built from, as cheap to compare as to ask for."""

    revision: int
    file: str
    expired: str
    promoted: str


class Moderator:
    """Holds the active ruleset. ``current`` is a snapshot: whoever took it keeps it for a stream's whole life.

    Args:
        store: terms, the policy set through the control plane, and the revision that tells of changes.
        policy: ``SLUICE_POLICY``; ``None`` means the shipped one.
        base_lexicon: ``shipped``, or ``none`` for imported terms only.
        classifier: the model; ``None`` where it is turned off.
        load_classifier: gives the model of a policy, in place of ``classifier``; asked whenever a ruleset is built.
        promoted: which models are promoted, as cheap to compare as to ask for.
        compiled: folder of compiled lexicons, shared by all processes; with ``cipher``, which tells files of ours.
        on_change: told of every ruleset that becomes active.
    """

    def __init__(
        self,
        store: Store,
        *,
        policy: Path | None = None,
        base_lexicon: str = "shipped",
        classifier: Classifier | None = None,
        compiled: Path | None = None,
        cipher: Cipher | None = None,
        load_classifier: LoadClassifier | None = None,
        promoted: Callable[[], str] = str,
        on_change: Callable[[Ruleset], None] | None = None,
    ) -> None:
        self.classifier = classifier
        self._load_classifier = load_classifier or (lambda _policy, _source: classifier)
        self._promoted = promoted
        self._store = store
        self._policy = policy
        self._lexicons = CompiledLexicons(store, base_lexicon, folder=compiled, cipher=cipher)
        self._lexicon: tuple[str, CompiledLexicon] | None = None
        self._on_change = on_change
        self._current: Ruleset | None = None
        self._seen: _Seen | None = None
        self._expiry = "", ""
        self._retry_at = math.inf
        self._broken = ""
        self._away = ""
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sluice-ruleset")
        self._polling: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @property
    def current(self) -> Ruleset:
        """The active ruleset.

        Raises:
            NotReady: ``start`` has not returned yet.
        """
        if self._current is None:
            msg = "the ruleset is not built yet"
            raise NotReady(msg)
        return self._current

    @property
    def problems(self) -> tuple[str, ...]:
        """Why this is not, or not up to date: for operators. Empty when all is well."""
        return tuple(problem for problem in (self._missing, self._broken, self._away) if problem)

    @property
    def states(self) -> tuple[str, ...]:
        """The same for whoever may ask ``/readyz``: a policy's own words are for those who may read it."""
        refused = REFUSED if self._broken else ""
        return tuple(state for state in (self._missing, refused, self._away) if state)

    @property
    def _missing(self) -> str:
        return "the ruleset is not built yet" if self._current is None else ""

    @property
    def ready(self) -> bool:
        """Whether a ruleset is active and is what policy and terms say now."""
        return not self.problems

    async def start(self) -> None:
        """Build the first ruleset and go on watching.

        Raises:
            PolicyError: the policy cannot be used.
            LexiconError: the shipped lexicon cannot be read.
            StoreError: the store is away, so its terms are unknown.
        """
        await self._refresh()
        self._polling = asyncio.create_task(self._poll(), name="sluice-ruleset-poll")

    async def refresh(self) -> Ruleset:
        """Take a change now instead of at the next poll; returns what is active then.

        A policy or lexicon that cannot be used leaves the running ruleset as it is and is told in ``problems``.
        """
        try:
            await self._refresh()
        except (PolicyError, LexiconError, TaxonomyError, ClassifierError) as error:
            self._break(str(error))
        except StoreError as error:
            self._lose(str(error))
        return self.current

    async def check(self, policy: Policy, text: str, name: str) -> None:
        """Load the classifier of a policy that is about to be put in force; it is not loaded again for that.

        Raises:
            ClassifierRefused: it cannot be used here.
        """
        source = PolicySource(text, name, "store")
        await asyncio.get_running_loop().run_in_executor(self._worker, self._load_classifier, policy, source)

    async def close(self) -> None:
        """Stop watching."""
        if self._polling is not None:
            self._polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._polling
        self._lexicons.close()
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - the task's outermost frame: a defect must not end the watch
                self._break(f"{type(error).__name__}: {error}")

    async def _refresh(self) -> None:
        async with self._turn:
            built = await asyncio.get_running_loop().run_in_executor(self._worker, self._build_if_changed)
            self._away = ""
            if built is None:
                return
            ruleset, self.classifier = built
            self._current = ruleset
            self._broken = ""
        _log.info("ruleset_active", ruleset=ruleset.version, policy=ruleset.policy.version, model=ruleset.model_version)
        if ruleset.unscored:
            _log.warning("context_terms_unscored", categories=list(ruleset.unscored), effect="they count by themselves")
        if self._on_change is not None:
            self._on_change(ruleset)

    def _break(self, problem: str) -> None:
        if problem != self._broken:
            _log.error("ruleset_broken", reason=problem)
        self._broken = problem

    def _lose(self, problem: str) -> None:
        if not self._away:
            _log.warning("ruleset_store_away", reason=problem)
        self._away = f"store unavailable: {problem}"

    # --- in the worker thread --------------------------------------------------------------------------------------

    def _build_if_changed(self) -> tuple[Ruleset, Classifier | None] | None:
        revision = self._store.rulesets.active_revision()
        seen = _Seen(revision, self._file_state(), self._expired(revision), self._promoted())
        if seen == self._seen and time.monotonic() < self._retry_at:
            return None
        with memory.no_collection():
            built = self._build(seen)
        memory.give_back()
        self._seen, self._retry_at = seen, math.inf
        return built

    def _build(self, seen: _Seen) -> tuple[Ruleset, Classifier | None]:
        try:
            source = active_policy(self._store, self._policy)
            policy = source.parse()
            lexicon = self._lexicon_in_force()
            classifier = self._load_classifier(policy, source)
            version, labels = (None, ()) if classifier is None else (classifier.version, classifier.labels)
            return Ruleset(policy, lexicon, version, labels), classifier
        except (ClassifierRefused, ClassifierError):  # that of the policy, or that of the settings
            self._seen = seen
            self._retry_at = time.monotonic() + RETRY_S  # a server, a file or a key may come without a change here
            raise
        except (PolicyError, LexiconError, TaxonomyError):
            self._seen, self._retry_at = seen, math.inf  # it will not get better before something changes
            raise

    def _lexicon_in_force(self) -> CompiledLexicon:
        """What was compiled before, as long as it says the same: streams then share one automaton."""
        known = self._lexicon
        if known is not None and known[0] == self._lexicons.key():
            return known[1]
        key, lexicon = self._lexicons.get()
        if known is not None and known[1].version == lexicon.version:
            lexicon = known[1]
        self._lexicon = key, lexicon
        return lexicon

    def _expired(self, revision: int) -> str:
        """When a term expired last; asked of the store only where a change or the clock may have made it another."""
        _, following = self._expiry
        if self._seen is None or revision != self._seen.revision or (following and following <= moment_now()):
            self._expiry = self._store.terms.expiry()
        return self._expiry[0]

    def _file_state(self) -> str:
        """What the policy file says now. Reading it is cheaper than being wrong about its time of change."""
        if self._policy is None:
            return ""
        try:
            return fingerprint(read_text(self._policy))
        except PolicyError as error:
            return str(error)
