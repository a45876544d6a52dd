import json
import shutil
import subprocess
import sys
import threading

import pytest

from models.card import ModelCard
from models.registry import CANDIDATE, PREVIOUS, PRODUCTION, SHIPPED, Registry
from models.types import ClassifierError, Segment


@pytest.fixture
def registry(tmp_path):
    """A registry over an empty data folder."""
    return Registry(tmp_path / "data")


@pytest.fixture
def other(weights):
    """A second version: the shipped weights under another calibration."""
    card = ModelCard.load(weights)
    calibration = {k: v.model_copy(update={"offset": v.offset - 1.0}) for k, v in card.calibration.items()}
    card.model_copy(update={"calibration": calibration, "name": "other"}).sealed().save(weights)
    return weights


def test_shipped_serves_at_first(registry, shipped):
    """Without anything promoted, the shipped weights are in production."""
    assert registry.load().version == shipped.version
    (only,) = registry.installed()
    assert (only.version, only.aliases, only.shipped) == (shipped.version, (PRODUCTION,), True)


def test_promote_and_roll_back(registry, other, shipped):
    """A candidate is promoted, serves, and gives way to the version before it again, twice over."""
    version = registry.add(other)
    assert registry.aliases() == {CANDIDATE: version}
    assert registry.load().version == shipped.version
    assert registry.promote(CANDIDATE) == version
    assert registry.load().version == version
    assert registry.aliases() == {PRODUCTION: version, PREVIOUS: SHIPPED}
    registry.rollback()
    assert registry.load().version == shipped.version
    registry.rollback()
    assert registry.load().version == version


def test_promoting_again_keeps_the_way_back(registry, other):
    """Promoting what already serves does not forget the version before it."""
    version = registry.add(other)
    registry.promote(version)
    registry.promote(version)
    assert registry.aliases()[PREVIOUS] == SHIPPED


def test_shipped_by_its_version(registry, other, shipped):
    """The shipped weights can be named by their version as well."""
    registry.promote(registry.add(other))
    assert registry.promote(shipped.version) == SHIPPED
    assert registry.load().version == shipped.version


def test_damaged_version_is_not_promoted(registry, other):
    """A version whose bytes changed on disk is refused by name, and nothing changes."""
    version = registry.add(other)
    path = registry.folder(version) / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    before = registry.aliases()
    with pytest.raises(ClassifierError, match=r"model\.onnx"):
        registry.promote(version)
    assert registry.aliases() == before


def test_damaged_production_is_an_error(registry, other):
    """A damaged version in production is never silently replaced by another model."""
    version = registry.add(other)
    registry.promote(version)
    (registry.folder(version) / "model.onnx").write_bytes(b"")
    with pytest.raises(ClassifierError):
        registry.load()
    assert registry.load(SHIPPED).score([Segment("你好")])


def test_damaged_source_is_not_added(registry, other):
    """Nothing of a damaged model enters the registry."""
    (other / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(ClassifierError):
        registry.add(other)
    assert len(registry.installed()) == 1


@pytest.mark.parametrize("name", ["nothing", CANDIDATE, PREVIOUS, "../../etc", "", "a/b"])
def test_unknown_versions(registry, name):
    """A version that is not there, or is no name at all, is an error."""
    with pytest.raises(ClassifierError):
        registry.promote(name)
    assert registry.aliases() == {}


def test_nothing_to_roll_back_to(registry):
    """A rollback without a version before is an error that says so."""
    with pytest.raises(ClassifierError, match="roll back"):
        registry.rollback()


@pytest.mark.parametrize("text", ["{", "[]", '{"production": 1}', '{"else": "x"}'])
def test_damaged_aliases(registry, other, text):
    """Aliases that cannot be read are an error that names the file."""
    registry.add(other)
    (registry._root / "aliases.json").write_text(text, encoding="utf-8")
    with pytest.raises(ClassifierError, match=r"aliases\.json"):
        registry.load()


def test_readers_never_see_half_a_change(registry, other, shipped):
    """While versions are swapped over and over, every reader loads a whole one."""
    version = registry.add(other)
    stop, seen, errors = threading.Event(), set(), []

    def read():
        while not stop.is_set():
            try:
                seen.add(ModelCard.load(registry.folder()).version)
            except ClassifierError as error:
                errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(40):
        registry.promote(version)
        registry.promote(SHIPPED)
    stop.set()
    reader.join()
    assert not errors
    assert seen <= {version, shipped.version}


def test_killed_while_adding(registry, other):
    """A process killed in the middle of adding leaves no version behind, and the next one adds it whole."""
    code = (
        "import os, sys; from pathlib import Path; from models import registry as r;"
        "write = r.write_atomically;"
        "r.write_atomically = lambda path, data: os._exit(9) if path.name == 'card.json' else write(path, data);"
        "r.Registry(Path(sys.argv[1])).add(Path(sys.argv[2]))"
    )
    data = registry._root.parent
    assert subprocess.run([sys.executable, "-c", code, data, other], check=False).returncode == 9
    assert len(registry.installed()) == 1
    version = registry.add(other)
    assert registry.load(version).version == version


def test_without_shipped_weights(tmp_path, other):
    """A registry whose package came without weights says that there is no card, and serves what is promoted."""
    registry = Registry(tmp_path / "data", shipped=tmp_path / "none")
    with pytest.raises(ClassifierError, match=r"card\.json"):
        registry.load()
    version = registry.add(other)
    registry.promote(version)
    assert registry.load().version == version
    assert json.loads((registry._root / "aliases.json").read_text())[PREVIOUS] == SHIPPED
    shutil.rmtree(registry._root)
