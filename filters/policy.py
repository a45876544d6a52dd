"""Policy: what is done about which category, in which direction, how surely, and what happens when a filter fails."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
    model_validator,
)

from filters import policy_text, policy_upstreams, taxonomy
from filters.language import Language
from filters.policy_classifier import RULES as CLASSIFIER_RULES
from filters.policy_classifier import ClassifierRule
from filters.policy_patterns import PatternRule, Patterns, check_all, laid_over
from filters.policy_rules import ANY, Categories, CategoryRule, Frozen, Rule, RuleSetting
from filters.policy_text import PolicyError
from filters.policy_upstreams import Upstream
from filters.types import Action, Direction, OnError

__all__ = ["CategoryRule", "OnErrorRule", "Policy", "PolicyError", "Profile", "Refusal", "Rule", "RuleSetting"]

MAX_EXPOSURE = 100_000
"""Upper bound of ``exposure_limit``: past it nothing would be held for the classifier at all."""


def _check_route(route: str) -> str:
    if not route.startswith("/"):
        msg = f"a route is a path prefix and begins with '/', unlike {route!r}"
        raise ValueError(msg)
    return route.rstrip("/")


ProfileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Route = Annotated[str, AfterValidator(_check_route)]
RefusalText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class OnErrorRule(Frozen):
    """What happens where a filter failed or ran out of time, by direction."""

    input: OnError = OnError.BLOCK
    """For what the client sends."""
    output: OnError = OnError.BLOCK
    """For what the model answers."""

    def __getitem__(self, direction: Direction) -> OnError:
        """Give the rule of one direction."""
        return self.input if direction is Direction.INPUT else self.output


class Refusal(Frozen):
    """What a blocked user reads, in the language of the conversation."""

    zh: RefusalText = "抱歉，我无法就此内容提供回答。如果还有其他问题，我很乐意继续帮忙。"
    """Chinese."""
    en: RefusalText = "I'm sorry, but I can't help with that. I'm happy to help with something else."
    """English and every other language."""


class PartialOnError(Frozen):
    """The directions in which a profile differs."""

    input: OnError | None = None
    """For what the client sends."""
    output: OnError | None = None
    """For what the model answers."""


class PartialRefusal(Frozen):
    """The refusal texts in which a profile differs."""

    zh: RefusalText | None = None
    """Chinese."""
    en: RefusalText | None = None
    """English and every other language."""


Mode = Literal["enforce", "monitor"]
OnBlock = Literal["refuse", "error"]
Handling = Literal["block", "pass"]
Exposure = Annotated[int, Field(strict=True, ge=0, le=MAX_EXPOSURE)]


class Profile(Frozen):
    """A named variant: whatever it sets overrides the policy, category by category and direction by direction."""

    routes: tuple[Route, ...] = ()
    """Path prefixes of the data plane that use this profile; the longest that fits wins."""
    keys: tuple[str, ...] = ()
    """Names of client keys that use this profile; a key wins over a route."""
    mode: Mode | None = None
    """As in the policy."""
    on_block: OnBlock | None = None
    """As in the policy."""
    on_error: PartialOnError | None = None
    """As in the policy."""
    unknown: Handling | None = None
    """As in the policy."""
    media: Handling | None = None
    """As in the policy."""
    exposure_limit: Exposure | None = None
    """As in the policy."""
    record_moderations: StrictBool | None = None
    """As in the policy."""
    refusal: PartialRefusal | None = None
    """As in the policy."""
    categories: Categories = Field(default_factory=dict)
    """Laid over the policy's rules of the same codes; among all codes the most specific still wins."""
    patterns: Patterns = Field(default_factory=dict)
    """Laid over the policy's patterns of the same names."""


class Policy(Frozen):
    """A moderation policy. Immutable; ``version`` is a hash of what it says.

    A request's profile is the one that its header names (where ``allow_profile_header`` lets clients choose), else the
    one of its upstream, else the one that lists the name of its key, else the one with the longest route that its path
    begins with, else none::

        profiles:
          support-bot: {keys: [support], mode: monitor}
          strict: {routes: [/v1/chat], categories: {A1: {action: block, threshold: 0.5}}}

    A profile is laid over the policy value by value: what it sets for a code wins over what the policy sets for the
    same code, in each direction. Among the codes the most specific still wins, so a policy's rule for A1.h.gambling
    stands above a profile's rule for A1.
    """

    DEFAULT_RULE: ClassVar[Rule] = Rule(Action.BLOCK, 0.8)

    format_version: Literal[1] = Field(default=1, alias="version")
    """Version of this format."""
    mode: Mode = "enforce"
    """enforce, or monitor: decide and record the same, but deliver everything unchanged."""
    on_block: OnBlock = "refuse"
    """refuse: answer 200 with a refusal in the API's own shape; error: answer 400."""
    on_error: OnErrorRule = OnErrorRule()
    """What happens when a filter fails or runs out of time."""
    unknown: Handling = "block"
    """Bodies that can be read neither as text nor as JSON."""
    media: Handling = "pass"
    """Images, audio and files inside a known API."""
    exposure_limit: Exposure = 0
    """Characters that may leave before the classifier has scored them; 0 holds them all."""
    record_moderations: StrictBool = True
    """Whether verdicts of /v1/moderations enter the violations too."""
    allow_profile_header: StrictBool = False
    """Whether clients may choose a profile by the header x-sluice-profile."""
    refusal: Refusal = Refusal()
    """What a blocked user reads."""
    categories: Categories = Field(default_factory=dict)
    """Rules by category code, by prefix (A1, A1.h) or for everything else ("*"); the most specific wins."""
    patterns: Patterns = Field(default_factory=dict)
    """Contacts, accounts and patterns of your own that are looked for, by name: an action, or a rule. None if empty."""
    profiles: dict[ProfileName, Profile] = Field(default_factory=dict)
    """Named variants, chosen by header (if allowed), upstream, key or route."""
    upstreams: tuple[Upstream, ...] = ()
    """Model APIs beside SLUICE_UPSTREAM, by path prefix or model; the first that fits wins."""
    classifier: ClassifierRule | None = None
    """What scores the texts, in place of what SLUICE_CLASSIFIER names."""

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        for kind in ("routes", "keys"):
            owners: dict[str, str] = {}
            for name, profile in self.profiles.items():
                for choice in getattr(profile, kind):
                    if owners.setdefault(choice, name) != name:
                        msg = f"{choice or '/'!r} is among the {kind} of both {owners[choice]!r} and {name!r}"
                        raise ValueError(msg)
        policy_upstreams.check_all(self.upstreams, self.profiles)
        return self

    @model_validator(mode="after")
    def _check_patterns(self) -> Self:
        check_all(self.patterns, "patterns")
        for name, profile in self.profiles.items():
            if profile.patterns:
                check_all(laid_over(profile.patterns, self.patterns), "profiles", name, "patterns")
        return self

    @classmethod
    def parse(cls, data: object, name: str = "policy") -> Policy:
        """Read a policy from plain data; ``name`` is what errors call it.

        Raises:
            PolicyError: the data breaks the schema.
        """
        return cls._validate(data, name, {})

    @classmethod
    def parse_yaml(cls, text: str, name: str = "policy") -> Policy:
        """Read a policy from YAML; an empty text is the policy of defaults.

        Raises:
            PolicyError: the text is no YAML, has a key twice, or breaks the schema.
        """
        data, lines = policy_text.read_yaml(text, name)
        return cls._validate({} if data is None else data, name, lines)

    @classmethod
    def _validate(cls, data: object, name: str, lines: policy_text.Lines) -> Policy:
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise policy_text.explain(error, name, lines, _known_keys()) from None

    @classmethod
    def schema(cls) -> dict[str, Any]:  # type: ignore[override]  # pydantic's deprecated method of this name
        """Give the JSON Schema of the YAML, for editors."""
        schema = cls.model_json_schema(by_alias=True, mode="validation")
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Sluice policy"}

    @cached_property
    def version(self) -> str:
        """Content hash: equal for policies that say the same, however they are written."""
        # a policy that says what it always said keeps its version
        unsaid = {name for name in ("patterns", "upstreams", "classifier") if not getattr(self, name)}
        content = self.model_dump(mode="json", exclude={"profiles", "categories"} | unsaid)
        content["categories"] = _canonical(self.categories)
        content["profiles"] = {
            name: profile.model_dump(
                mode="json", exclude={"categories"} | (set() if profile.patterns else {"patterns"})
            )
            | {"categories": _canonical(profile.categories)}
            for name, profile in self.profiles.items()
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]

    def filled(self) -> dict[str, Any]:
        """Everything that counts, as JSON has it: what the policy says, and the defaults where it says nothing.

        Only a classifier that it does not name is not in it: who begins with this may add one.
        """
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        usual = asdict(self.DEFAULT_RULE) | {"action": self.DEFAULT_RULE.action.label}
        data["categories"] = {ANY: usual | data["categories"].pop(ANY, {}), **data["categories"]}
        return data

    @property
    def enforce(self) -> bool:
        """Whether decisions are acted on."""
        return self.mode == "enforce"

    def refusal_text(self, language: Language) -> str:
        """Give what a blocked user reads."""
        return self.refusal.zh if language == "zh" else self.refusal.en

    @cached_property
    def _rules(self) -> dict[tuple[str, Direction], Rule]:
        return {}

    def rule(self, category: str, direction: Direction) -> Rule:
        """Find what counts for a category: action and thresholds, each from the most specific rule that sets it.

        Raises:
            TaxonomyError: there is no such category.
        """
        found = self._rules.get((category, direction))
        if found is None:
            found = self._rules[category, direction] = self._find_rule(category, direction)
        return found

    def _find_rule(self, category: str, direction: Direction) -> Rule:
        codes = (*taxonomy.parent_chain(category), ANY)
        settings = [self.categories[code].towards(direction) for code in codes if code in self.categories]
        action = next((setting.action for setting in settings if setting.action is not None), None)
        threshold = next((setting.threshold for setting in settings if setting.threshold is not None), None)
        disguise = next(
            (setting.disguise_threshold for setting in settings if setting.disguise_threshold is not None), None
        )
        context = next(
            (setting.context_threshold for setting in settings if setting.context_threshold is not None), None
        )
        usual = self.DEFAULT_RULE
        return Rule(
            usual.action if action is None else action,
            usual.threshold if threshold is None else threshold,
            usual.disguise_threshold if disguise is None else disguise,
            usual.context_threshold if context is None else context,
        )

    @cached_property
    def _resolved(self) -> dict[str, Policy]:
        return {name: self._laid_under(profile) for name, profile in self.profiles.items()}

    def profile(self, name: str | None) -> Policy:
        """Give the policy as a profile has it; without a name, the policy itself.

        Raises:
            PolicyError: there is no such profile.
        """
        if name is None:
            return self
        try:
            return self._resolved[name]
        except KeyError:
            msg = f"unknown profile {name!r}{taxonomy.suggest(name, self.profiles)}"
            raise PolicyError("policy", None, msg) from None

    def choose_upstream(self, path: str, model: str | None) -> Upstream | None:
        """Choose where a request goes; ``None`` means ``SLUICE_UPSTREAM``.

        ``path`` is the normalised path, ``model`` what the request names, ``None`` where that cannot be read.
        """
        return policy_upstreams.choose(self.upstreams, path, model)

    def choose_profile(
        self, *, path: str, key: str | None = None, header: str | None = None, upstream: Upstream | None = None
    ) -> str | None:
        """Choose the profile of a request.

        The header's where that is allowed, else the upstream's, else the key's, else the route's. ``path`` is the
        normalised path, ``key`` the name of the client's key. A header that is not allowed is ignored.

        Raises:
            PolicyError: the header is allowed but names no profile.
        """
        if header is not None and self.allow_profile_header:
            self.profile(header)
            return header
        if upstream is not None and upstream.profile is not None:
            return upstream.profile
        choices = [
            (rank, name) for name, profile in self.profiles.items() if (rank := _fit(profile, path, key)) is not None
        ]
        return max(choices)[1] if choices else None

    def _laid_under(self, profile: Profile) -> Policy:
        fields = profile.model_dump(exclude_none=True, exclude={"routes", "keys", "categories", "patterns"})
        for group in ("on_error", "refusal"):
            fields[group] = getattr(self, group).model_dump() | fields.get(group, {})
        categories = dict(self.categories)
        for code, rule in profile.categories.items():
            categories[code] = rule.over(categories[code]) if code in categories else rule
        base = self.model_dump(by_alias=True, exclude={"categories", "patterns", "profiles", "upstreams"})
        patterns = laid_over(profile.patterns, self.patterns)
        return Policy.model_validate(base | fields | {"categories": categories, "patterns": patterns})


def _fit(profile: Profile, path: str, key: str | None) -> tuple[bool, int] | None:
    """How well a profile fits a request: by key before by route, a longer route before a shorter one."""
    if key is not None and key in profile.keys:
        return (True, 0)
    routes = [route.casefold() for route in profile.routes]  # as the path is
    lengths = [len(route) for route in routes if path == route or path.startswith(route + "/")]
    return (False, max(lengths)) if lengths else None


def _canonical(categories: Mapping[str, CategoryRule]) -> dict[str, Any]:
    said = {code: rule.expanded().model_dump(mode="json") for code, rule in categories.items()}
    for rule in said.values():
        for setting in (rule, rule["input"], rule["output"]):
            if setting["context_threshold"] is None:  # a policy that says what it always said keeps its version
                del setting["context_threshold"]
    return said


def _known_keys() -> set[str]:
    models = (Policy, Profile, OnErrorRule, Refusal, CategoryRule, PatternRule, Upstream, *CLASSIFIER_RULES)
    return {field.alias or name for model in models for name, field in model.model_fields.items()}
