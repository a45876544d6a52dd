"""A tiny data set, and a tiny model trained on it, for the tests of models."""

import importlib.util
import json
import os
import shutil

import pytest

from models import SHIPPED_WEIGHTS
from models.card import ModelCard


def need(*modules):
    """Skip without an optional part on a user's machine; fail in CI, which installs it."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"CI must install {missing}")
    if missing:
        pytest.skip(f"needs {missing} (the train extra)")


def tiny_rows(count, seed=0):
    """Rows that a tiny model can tell apart: two faults with their own words, and plain talk."""
    plain = ["今天天气很好，适合散步", "请推荐一部电影", "How do I sort a list", "火车几点出发？", "谢谢你的帮助。"]
    spam = ["加微信领红包", "兼职日结加群", "点击链接领取优惠"]
    hate = ["那个地方的人都很坏", "他们那里的人不可信"]
    for index in range(count):
        kind = (index + seed) % 4
        number = f"{index * 7 + seed}"
        if kind == 0:
            yield _row(f"{spam[index % 3]} {number}", "spam_ads", "adverts@x", "1")
        elif kind == 1:
            yield _row(f"{hate[index % 2]} {number}", "hate", "cold@x:train", "1|region")
        else:
            yield _row(f"{plain[index % 5]} {number}", "none", "talk@x", "0")


def _row(text, category, source, label):
    return {
        "text": text,
        "label": label,
        "unsafe": int(category != "none"),
        "category": category,
        "lang": "zh",
        "split": "train",
        "source": source,
    }


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """A folder with ``train.jsonl`` and ``dev.jsonl``."""
    folder = tmp_path_factory.mktemp("rows")
    for name, count, seed in (("train", 320, 0), ("dev", 60, 2)):
        lines = [json.dumps(row, ensure_ascii=False) for row in tiny_rows(count, seed)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def train_extra():
    """Skips what needs the ``train`` extra where it is not installed; CI must have it."""
    need("torch", "onnx")


@pytest.fixture(scope="session")
def tiny_config(train_extra):
    """A training run of seconds."""
    from models.training import TrainingConfig

    return TrainingConfig(
        name="tiny", layers=1, width=32, heads=2, vocabulary=200, gram_buckets=256, gram_width=16, wide_buckets=256,
        max_tokens=32, pretrain_passes=1, members=1, epochs=8, batch=16,
        learning_rate=1e-2, held_share=0.3, min_label_rows=10, target_false_alarms=0.02,
    )  # fmt: skip


@pytest.fixture(scope="session")
def tiny_model(tiny_config, tiny_data, tmp_path_factory):
    """The folder of a model trained on the tiny rows."""
    from models.training import train

    out = tmp_path_factory.mktemp("tiny")
    train(tiny_config, [tiny_data / "train.jsonl"], out, dev_path=tiny_data / "dev.jsonl")
    return out


@pytest.fixture
def weights(tmp_path):
    """A copy of the shipped weights that a test may damage."""
    folder = tmp_path / "weights"
    shutil.copytree(SHIPPED_WEIGHTS, folder)
    return folder


@pytest.fixture
def rewritten():
    """Changes some parts of a folder's card and gives it the version that it then has."""

    def rewrite(folder, **changes):
        card = json.loads((folder / "card.json").read_text(encoding="utf-8")) | changes
        ModelCard.model_validate(card).sealed().save(folder)

    return rewrite


@pytest.fixture(scope="session")
def shipped():
    """The shipped classifier."""
    from models import load_classifier

    return load_classifier()
