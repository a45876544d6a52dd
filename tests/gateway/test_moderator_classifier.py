"""The classifier of a policy, from the point of view of what swaps rulesets."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from filters.policy import Policy, PolicyError
from gateway import moderator as module
from gateway.classifier_loading import ClassifierRefused
from gateway.moderator import Moderator
from gateway.store import StoreUnavailable
from models.types import ClassifierError

pytestmark = pytest.mark.anyio

ONE, OTHER = (
    f"classifier: {{kind: transformers, model: ./{name}, labels: {{x: X.spam}}}}\n" for name in ("one", "other")
)


class Loading:
    """Gives classifiers by the model that a policy names; refuses those that are away."""

    def __init__(self):
        self.away = set()
        self.broken = False
        self.asked = []

    def __call__(self, policy, source):
        """Load, or refuse."""
        if policy.classifier is None:
            if self.broken:
                raise ClassifierError("/nowhere: no model")
            return None
        name = policy.classifier.model
        self.asked.append(name)
        if name in self.away:
            raise ClassifierRefused(source.name, 1, f"classifier.model: {name} is no folder")
        return SimpleNamespace(version=name, labels=("X.spam",))


@pytest.fixture
def load():
    """What loads."""
    return Loading()


@pytest.fixture
async def moderator(sqlite_store, tmp_path, load):
    """Make a moderator on a policy file that a test may change."""
    path = tmp_path / "policy.yaml"
    path.write_text(ONE)
    made = []

    async def start():
        made.append(Moderator(sqlite_store, policy=path, base_lexicon="none", load_classifier=load))
        await made[-1].start()
        return made[-1], path

    yield start
    for one in made:
        await one.close()


async def eventually(check):
    """Wait until something holds."""
    ends = time.monotonic() + 10
    while not check():
        assert time.monotonic() < ends
        await asyncio.sleep(0.02)


async def test_the_classifier_changes_with_the_policy(moderator, load):
    """Ruleset and classifier are swapped together; where the policy names none there may be none."""
    running, path = await moderator()
    assert (running.current.model_version, running.classifier.version) == ("./one", "./one")
    path.write_text(OTHER)
    assert (await running.refresh()).model_version == running.classifier.version == "./other"
    path.write_text("mode: enforce\n")
    assert (await running.refresh()).model_version is None
    assert running.classifier is None
    assert load.asked == ["./one", "./other"]


async def test_a_promoted_model_counts_without_a_change_of_the_policy(sqlite_store):
    """Nobody has to restart a gateway, or touch its policy, for a model that was promoted."""
    promoted = ["first"]

    def load(_policy, _source):
        return SimpleNamespace(version=promoted[0], labels=("X.spam",))

    running = Moderator(sqlite_store, base_lexicon="none", load_classifier=load, promoted=lambda: promoted[0])
    await running.start()
    try:
        assert running.current.model_version == "first"
        promoted[0] = "second"
        await eventually(lambda: running.current.model_version == "second")
    finally:
        await running.close()


async def test_a_refused_one_changes_nothing_and_is_tried_again(moderator, load, monkeypatch):
    """The running ruleset stays, the reason is told, and what comes later is taken without a change of the policy."""
    monkeypatch.setattr(module, "RETRY_S", 0.3)
    running, path = await moderator()
    load.away.add("./other")
    path.write_text(OTHER)
    assert (await running.refresh()).model_version == running.classifier.version == "./one"
    assert "policy.yaml:1: classifier.model: ./other is no folder" in running.problems[0]
    asked = len(load.asked)
    await running.refresh()
    assert len(load.asked) == asked, "not at every poll"
    load.away.clear()
    await eventually(lambda: running.ready)
    assert running.current.model_version == "./other"


async def test_that_of_the_settings_may_be_away_too(moderator, load, monkeypatch):
    """A policy that names none needs that of the settings: without it the running one stays, and it is tried again."""
    monkeypatch.setattr(module, "RETRY_S", 0.3)
    running, path = await moderator()
    load.broken = True
    path.write_text("mode: enforce\n")
    assert (await running.refresh()).model_version == "./one"
    assert running.problems == ("/nowhere: no model",)
    load.broken = False
    await eventually(lambda: running.ready)
    assert running.current.model_version is None


async def test_a_store_that_is_away_does_not_end_the_tries(moderator, load, monkeypatch, sqlite_store):
    """Whoever tries again in just that moment tries once more when the store is back."""
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    running, path = await moderator()
    load.away.add("./other")
    path.write_text(OTHER)
    await running.refresh()
    with monkeypatch.context() as patched:
        patched.setattr(module, "active_policy", lambda *_: (_ for _ in ()).throw(StoreUnavailable("away")))
        await running.refresh()
    load.away.clear()
    await eventually(lambda: running.ready)
    assert running.current.model_version == "./other"


async def test_a_refused_one_is_told_at_the_start(moderator, load):
    """Nothing is served with another classifier than the policy names."""
    load.away.add("./one")
    with pytest.raises(PolicyError, match=r"\./one is no folder"):
        await moderator()


async def test_a_policy_is_checked_before_it_is_in_force(moderator, load):
    """What would be refused is, and nothing changes."""
    running, _ = await moderator()
    load.away.add("./other")
    with pytest.raises(ClassifierRefused, match="policy:1"):
        await running.check(Policy.parse_yaml(OTHER), OTHER, "policy")
    assert running.ready
    assert running.classifier.version == "./one"
