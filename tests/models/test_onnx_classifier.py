import json
import math
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from models import SHIPPED_WEIGHTS, load_classifier
from models.card import ModelCard
from models.onnx_classifier import OnnxClassifier
from models.testing import check_classifier
from models.types import ClassifierError, Segment


def test_shipped_model_conforms(shipped):
    """The shipped model keeps every promise of the Classifier protocol."""
    check_classifier(shipped)


def test_serving_imports_no_torch():
    """Loading and scoring in a fresh process imports neither torch nor transformers."""
    code = (
        "import sys; from models import load_classifier; from models.types import Segment;"
        "load_classifier().score([Segment('你好')]);"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_loads_fast():
    """A model loads within 0.3 s of processor time once its libraries are imported."""
    load_classifier()
    start = time.process_time()
    load_classifier()
    assert time.process_time() - start < 0.3


def test_shipped_size():
    """The shipped files together stay within 12 MiB."""
    assert sum(path.stat().st_size for path in SHIPPED_WEIGHTS.iterdir()) <= 12 * 2**20


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_damaged_file_is_named(weights, name):
    """One changed byte in a file is an error that names the file."""
    data = bytearray((weights / name).read_bytes())
    data[len(data) // 2] ^= 1
    (weights / name).write_bytes(data)
    with pytest.raises(ClassifierError, match=name):
        load_classifier(weights)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "card.json"])
def test_absent_file_is_named(weights, name):
    """A missing file is an error that names it."""
    (weights / name).unlink()
    with pytest.raises(ClassifierError, match=name):
        load_classifier(weights)


def test_model_of_another_shape(weights, rewritten):
    """A card that names fewer labels than the model has is refused at load."""
    card = ModelCard.load(weights)
    labels = card.labels[:-1]
    calibration = {x: card.calibration[x].model_dump() for x in labels}
    rewritten(weights, labels=labels, calibration=calibration, latin_calibration={})
    with pytest.raises(ClassifierError, match="scores where its card names"):
        load_classifier(weights)


def test_labels_without_calibration(weights, rewritten):
    """A card whose labels and calibration differ is refused."""
    rewritten(weights, labels=[*ModelCard.load(weights).labels, "A5.b"])
    with pytest.raises(ClassifierError, match="different categories"):
        load_classifier(weights)


@pytest.mark.parametrize("part", ["calibration", "latin_calibration", "reading"])
def test_edited_calibration_is_noticed(weights, part):
    """Editing a number in the card without a new version is refused: a version names one behaviour."""
    text = (weights / "card.json").read_text(encoding="utf-8")
    card = json.loads(text)
    if part == "reading":
        card["reading"] = 0 if card.get("reading") else 1
    else:
        card[part] = card.get(part) or dict(card["calibration"])
        card[part][card["labels"][0]]["offset"] += 1.0
    (weights / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ClassifierError, match="version"):
        load_classifier(weights)


@pytest.mark.parametrize("text", ["{}", "not json", "[]", '{"format": 2}'])
def test_unreadable_card(weights, text):
    """A card that is none is an error that names the file."""
    (weights / "card.json").write_text(text, encoding="utf-8")
    with pytest.raises(ClassifierError, match=r"card\.json"):
        load_classifier(weights)


def test_bytes_that_are_no_model(weights, rewritten):
    """A file that is intact by its checksum but no ONNX model is refused by name."""
    from models.card import checksum

    (weights / "model.onnx").write_bytes(b"\x08\x01nothing")
    files = ModelCard.load(weights).files | {"model.onnx": checksum(b"\x08\x01nothing")}
    rewritten(weights, files=files)
    with pytest.raises(ClassifierError, match=r"model\.onnx"):
        load_classifier(weights)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_score_that_is_no_number(shipped, bad):
    """A NaN or infinity from the network is an error, never a score."""
    session = SimpleNamespace(run=lambda *_: [np.full((1, len(shipped.labels)), bad, dtype=np.float32)])
    broken = OnnxClassifier(shipped.card, session, shipped._tokenizer)
    with pytest.raises(ClassifierError, match="no number"):
        broken.score([Segment("你好")])


def test_failing_session(shipped):
    """Whatever onnxruntime raises reaches the caller as ClassifierError."""

    def fail(*_):
        raise RuntimeError("broken kernel")

    broken = OnnxClassifier(shipped.card, SimpleNamespace(run=fail), shipped._tokenizer)
    with pytest.raises(ClassifierError, match="broken kernel"):
        broken.score([Segment("你好")])


def test_nothing_of_a_long_text_goes_unread(shipped):
    """The network sees every token of a text longer than it can take at once."""
    seen = set()

    def run(_, inputs):
        seen.update(inputs["ids"][0].tolist())
        return [np.zeros((1, len(shipped.labels)), dtype=np.float32)]

    text = "".join(chr(code) for code in range(0x4E00, 0x5000))
    OnnxClassifier(shipped.card, SimpleNamespace(run=run), shipped._tokenizer).score([Segment(text)])
    assert set(shipped._encode(shipped._tokenizer, text)) <= seen


def test_versions_differ_when_scores_could(weights, rewritten):
    """Another calibration gives another version."""
    before = load_classifier(weights).version
    card = ModelCard.load(weights)
    calibration = {k: v.model_dump() for k, v in card.calibration.items()}
    calibration[card.labels[0]]["offset"] += 1.0
    rewritten(weights, calibration=calibration)
    assert load_classifier(weights).version != before
