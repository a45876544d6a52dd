"""Characters of one sound learn together, and what serves does not know of it."""

import pytest

from models import tokenizer as tokens


@pytest.fixture
def tokenizer():
    """One that knows some characters and a word."""
    return tokens.build(["赌 堵 毒 猫 good 1"] * 5, 200)


@pytest.fixture
def encoder(train_extra, tokenizer):
    """A small one that reads with the tokenizer."""
    from models.network import Encoder, Shape

    return Encoder(
        Shape(
            vocabulary=tokenizer.get_vocab_size(),
            groups=(0,),
            layers=1,
            width=8,
            heads=2,
            max_tokens=16,
            gram_buckets=32,
            gram_width=4,
            wide_buckets=32,
        )
    )


def test_tokens_of_one_sound_have_one_number(train_extra, tokenizer):
    """赌, 堵 and 毒 sound alike without their tones; Latin letters, digits and marks have no sound."""
    from models.sounds import sound_numbers

    numbers = sound_numbers(tokenizer)
    at = {token: numbers[place] for token, place in tokenizer.get_vocab().items()}
    assert at["赌"] == at["堵"] == at["毒"] > 0
    assert at["猫"] not in (0, at["赌"])
    assert {at["[PAD]"], at["[UNK]"], at["good"], at["1"]} == {0}


def test_what_one_character_learns_its_homophones_learn(tokenizer, encoder):
    """A step on 赌 alone moves 堵 too, and 猫 not at all; afterwards the embedding is a plain one again."""
    import torch

    from models.sounds import shared_sounds

    place = tokenizer.get_vocab()
    before = encoder.token.weight.detach().clone()
    names = set(encoder.state_dict())
    with shared_sounds(encoder, tokenizer):
        assert torch.equal(encoder.token.weight, before)
        optimiser = torch.optim.SGD(encoder.parameters(), lr=0.1)
        encoder.token(torch.tensor([place["赌"]])).sum().backward()
        optimiser.step()
    assert set(encoder.state_dict()) == names
    moved = {token: float((before[at] - encoder.token.weight[at]).detach().mean()) for token, at in place.items()}
    assert moved["赌"] == pytest.approx(0.2, abs=1e-4)
    assert [moved["堵"], moved["毒"]] == pytest.approx([0.1, 0.1], abs=1e-4)
    assert moved["猫"] == moved["good"] == moved["[UNK]"] == 0.0


def test_an_encoder_is_whole_again_after_a_failure(tokenizer, encoder):
    """A fit that is broken off leaves no table of sounds behind."""
    from models.sounds import shared_sounds

    names = set(encoder.state_dict())
    with pytest.raises(KeyboardInterrupt), shared_sounds(encoder, tokenizer):
        raise KeyboardInterrupt
    assert set(encoder.state_dict()) == names
