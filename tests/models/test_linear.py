from models.dataset import read_rows
from models.linear import features, train_linear
from models.testing import check_classifier
from models.types import Segment


def test_learns_and_conforms(tiny_data):
    """The baseline learns the tiny rows and keeps the protocol's promises."""
    rows = read_rows(tiny_data / "train.jsonl")
    model = train_linear(rows, ("A2.d", "X.spam"))
    check_classifier(model)
    spam, plain = model.score([Segment("加微信领红包"), Segment("今天天气很好，适合散步")])
    assert spam["X.spam"] > 0.8
    assert plain["X.spam"] < 0.2


def test_same_seed_same_weights(tiny_data):
    """Training is a function of rows and seed."""
    rows = read_rows(tiny_data / "train.jsonl")[:80]
    first, second = (train_linear(rows, ("X.spam",), epochs=1).score([Segment("加群")]) for _ in range(2))
    assert first == second


def test_folded_features():
    """Width and case make no difference."""
    assert (features("ＡＢ中") == features("ab中")).all()
