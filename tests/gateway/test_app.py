import dataclasses
import gc
import sqlite3

import httpx
import pytest

from gateway import app, keyfiles
from gateway.classifiers import load_classifier
from gateway.dataplane import Readiness
from gateway.demo import DemoUpstream
from gateway.moderator import REFUSED
from gateway.settings import Settings, SettingsError
from gateway.upstream import Upstream
from models.types import ClassifierError


@pytest.fixture
def settings(tmp_path):
    """A prepared data folder, and nothing that needs the model."""
    made = Settings(data_dir=tmp_path, classifier="none", secret_key="a secret of many characters")
    keyfiles.prepare_data_dir(made)
    app.prepare(made)
    return made


def test_the_banner_shows_what_a_newcomer_needs():
    """Both URLs, the upstream, one line to try, and the admin key only where it is new."""
    first = "\n".join(app.banner(Settings(), "http://127.0.0.1:8080", "http://127.0.0.1:8081", "the-key"))
    for part in ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8081", "the-key", "demo", "curl "):
        assert part in first
    later = "\n".join(app.banner(Settings(upstream="https://api.example.com"), "http://a", "http://b", None))
    assert "admin key" not in later
    assert "https://api.example.com" in later


def test_preparing_twice_gives_one_admin_key(tmp_path):
    """The generated key is told the first time only; a configured key is never told."""
    settings = Settings(data_dir=tmp_path)
    assert app.prepare(settings)
    assert app.prepare(settings) is None
    assert app.prepare(dataclasses.replace(settings, admin_key="x" * 20)) is None


def test_a_database_url_that_names_no_file_is_said(tmp_path):
    """The message names the setting."""
    with pytest.raises(SettingsError, match="SLUICE_DATABASE_URL"):
        app.prepare(Settings(data_dir=tmp_path, database_url="sqlite://"))


def test_the_upstream_is_the_demo_or_the_configured_one():
    """Unset means the built-in demo."""
    assert isinstance(app.open_upstream(Settings()), DemoUpstream)
    assert isinstance(app.open_upstream(Settings(upstream="http://127.0.0.1:1")), Upstream)


def test_the_classifier_is_the_one_that_is_named(tmp_path):
    """`none` loads none, a folder without a model is an error, `shipped` is the shipped one."""
    assert load_classifier(Settings(classifier="none")) is None
    with pytest.raises(ClassifierError, match=str(tmp_path)):
        load_classifier(Settings(classifier=str(tmp_path)))
    assert load_classifier(Settings(data_dir=tmp_path)).labels


@pytest.mark.anyio
async def test_every_part_opens_and_closes(settings):
    """With everything in place there is no reason not to be ready, and the planes answer."""
    async with app.services(settings, None) as parts:
        assert await parts.reasons() == []
        plane = app.data_plane(parts, Readiness(parts.reasons))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(plane), base_url="http://x") as client:
            assert (await client.get("/readyz")).json()["status"] == "ready"
            answer = await client.post("/v1/chat/completions", json={"model": "m", "messages": []})
            assert answer.headers["x-sluice-ruleset"] == parts.moderator.current.version
        control = app.control_plane(parts)
        key = keyfiles.admin_key(settings)[0]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(control), base_url="http://x") as client:
            headers = {"authorization": f"Bearer {key}"}
            assert (await client.get("/api/v1/violations", headers=headers)).json()["items"] == []


@pytest.mark.anyio
async def test_a_store_that_is_away_is_a_reason(settings, tmp_path):
    """What /readyz would say names the store, and nothing of its address."""
    async with app.services(settings, None) as parts:
        with sqlite3.connect(tmp_path / "sluice.db") as database:
            database.execute("ALTER TABLE counters RENAME TO elsewhere")
        database.close()
        assert await parts.reasons() == ["store unavailable"]


@pytest.mark.anyio
async def test_a_refused_policy_is_a_reason_without_its_words(settings, tmp_path):
    """Everybody may ask the data port; what stands in a policy is for those with a key of the control plane."""
    (tmp_path / "p.yaml").write_text("mode: enforce\n")
    async with app.services(dataclasses.replace(settings, policy=tmp_path / "p.yaml"), None) as parts:
        (tmp_path / "p.yaml").write_text("upstreams: [{name: secret-project}]\n")
        await parts.moderator.refresh()
        assert await parts.reasons() == [REFUSED]
        assert "p.yaml:1" in parts.moderator.problems[0]


@pytest.mark.anyio
async def test_an_active_ruleset_is_out_of_the_collectors_sight(settings):
    """What lives for days is frozen, so that a full collection costs no request a tenth of a second."""
    before = gc.get_freeze_count()
    try:
        async with app.services(settings, None):
            assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
