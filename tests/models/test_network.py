import numpy as np
import pytest


@pytest.fixture(scope="module")
def network(train_extra):
    """An untrained network of four labels in two groups, with something to say in each of its parts."""
    import torch

    from models.network import Network, Shape

    torch.manual_seed(1)
    made = Network(
        Shape(
            vocabulary=50, groups=(0, 1, 0, 1), layers=1, width=16, heads=2, max_tokens=16, gram_buckets=64,
            gram_width=8, wide_buckets=64,
        )
    )  # fmt: skip
    torch.nn.init.normal_(made.wide.weight.weight)
    made.mix([0.5, 2.0], [1.0, 0.25])
    return made.eval()


def _inputs(*rows):
    import torch

    width = max(map(len, rows))
    ids = np.array([[*row, *[0] * (width - len(row))] for row in rows], dtype=np.int64)
    return torch.from_numpy(ids), torch.from_numpy((ids != 0).astype(np.int64))


def test_likeliest_label_has_its_groups_logit(network):
    """The highest logit of a group is what both parts, as they are mixed, say of the group; no label is above it."""
    ids, kinds = _inputs([2, 7, 8, 9, 3], [2, 11, 3])
    logits = network(ids, kinds)
    deep, wide = network.deep(ids, kinds)[:, 4:], network.wide(ids)
    for group, (labels, shares) in enumerate((([0, 2], (0.5, 1.0)), ([1, 3], (2.0, 0.25)))):
        expected = deep[:, group] * shares[0] + wide[:, group] * shares[1]
        assert logits[:, labels].amax(1).tolist() == pytest.approx(expected.tolist(), abs=1e-3)


def test_padding_changes_nothing(network):
    """A text scores the same alone as beside a longer one."""
    alone = network(*_inputs([2, 7, 8, 3]))[0]
    beside = network(*_inputs([2, 7, 8, 3], [2, 9, 10, 11, 12, 13, 3]))[0]
    assert alone.tolist() == pytest.approx(beside.tolist(), abs=1e-3)


def test_order_counts(network):
    """The same characters in another order are another text, to both parts."""
    one, other = _inputs([2, 7, 8, 9, 3]), _inputs([2, 9, 8, 7, 3])
    assert network.wide(one[0]).tolist() != network.wide(other[0]).tolist()
    assert network.deep(*one).tolist() != network.deep(*other).tolist()


def test_fitting_leaves_out_the_pairs_of_a_share_of_the_tokens(train_extra):
    """Serving reads all of them; fitting those of the other tokens, as they are."""
    import torch

    from models.network import Encoder, Shape

    shape = Shape(
        vocabulary=50, groups=(0,), layers=1, width=16, heads=2, max_tokens=2000, gram_buckets=64, gram_width=8,
        wide_buckets=64, dropout=0.0, gram_dropout=0.25,
    )  # fmt: skip
    torch.manual_seed(2)
    encoder = Encoder(shape)
    read = []
    encoder.gram_in.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    row = _inputs([2, *[7, 8, 9, 10] * 400, 3])
    encoder.eval()(*row)
    encoder.train()(*row)
    serving, fitting = read
    assert not (serving == 0).all(-1).any()
    left_out = (fitting == 0).all(-1)
    assert left_out.float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert torch.equal(fitting[~left_out], serving[~left_out])
