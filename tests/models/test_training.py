import dataclasses
import json
import warnings

import pytest

from models import load_classifier
from models.dataset import DatasetError, read_rows
from models.testing import check_classifier
from models.types import Segment


def test_round_trip(tiny_model, tiny_data):
    """Rows in, files out, served by onnxruntime: the tiny model conforms and tells its rows apart."""
    classifier = load_classifier(tiny_model)
    check_classifier(classifier)
    assert classifier.labels == ("A2.d", "X.spam")
    overall = classifier.card.metrics["dev"]["as_prompt"]["overall"]
    assert overall["recall"] > 0.9
    assert overall["false_alarm_rate"] < 0.1
    (scores,) = classifier.score([Segment("加微信领红包 3")])
    assert max(scores.values()) > 0.8


def test_int8_stays_close(tiny_model):
    """The quantised file computes what the network computes, within a tenth of a logit or so."""
    assert load_classifier(tiny_model).card.metrics["int8_max_logit_difference"] < 0.3


def test_same_seed_same_model(tiny_config, tiny_data, tiny_model, tmp_path):
    """Training again with the same seed gives the same bytes; another seed gives others."""
    from models.training import train

    again = train(tiny_config, [tiny_data / "train.jsonl"], tmp_path / "again")
    other = train(dataclasses.replace(tiny_config, seed=8), [tiny_data / "train.jsonl"], tmp_path / "other")
    assert again.version == load_classifier(tiny_model).version
    assert other.version != again.version


def test_resumed_run_is_the_same(tiny_config, tiny_data, tiny_model, tmp_path):
    """A run that was interrupted and resumed gives the bytes of one that was not."""
    from models.training import train

    class StoppedError(Exception):
        pass

    def interrupt(progress):
        if progress.stage.startswith("epoch 4"):
            raise StoppedError

    with pytest.raises(StoppedError):
        train(tiny_config, [tiny_data / "train.jsonl"], tmp_path, interrupt)
    resumed = train(tiny_config, [tiny_data / "train.jsonl"], tmp_path, resume=True)
    assert resumed.version == load_classifier(tiny_model).version


def test_reading_is_resumed(tiny_config, tiny_data, tmp_path):
    """A run that was interrupted while it read goes on after the last full pass, and gives the same bytes."""
    from models.training import train

    class StoppedError(Exception):
        pass

    config = dataclasses.replace(tiny_config, pretrain_passes=3, epochs=1)
    unbroken = train(config, [tiny_data / "train.jsonl"], tmp_path / "unbroken")

    def interrupt(progress):
        if progress.stage == "reading" and progress.done > progress.total * 0.8:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(config, [tiny_data / "train.jsonl"], tmp_path / "broken", interrupt)
    seen = []
    resumed = train(config, [tiny_data / "train.jsonl"], tmp_path / "broken", seen.append, resume=True)
    assert resumed.version == unbroken.version
    read = [item for item in seen if item.stage == "reading"]
    assert read[0].done > read[0].total * 0.6
    assert not (tmp_path / "broken" / "reading.pt").exists()


def test_checkpoint_of_another_run(tiny_config, tiny_data, tiny_model, tmp_path):
    """A checkpoint of another configuration is not taken up."""
    from models.training import train

    (tmp_path / "checkpoint-0.pt").write_bytes((tiny_model / "checkpoint-0.pt").read_bytes())
    config = dataclasses.replace(tiny_config, epochs=1, width=16)
    stages = []
    train(config, [tiny_data / "train.jsonl"], tmp_path, lambda p: stages.append(p.stage), resume=True)
    assert "epoch 1 of 1" in stages


def test_sounds_are_shared_while_a_network_is_fitted(tiny_model):
    """What is kept of a run holds a part for each sound that learned something."""
    import torch

    fitted = torch.load(tiny_model / "checkpoint-0.pt", weights_only=True)["network"]
    (sounds,) = (value for name, value in fitted.items() if name.endswith("sound.weight"))
    assert len(sounds) > 1
    assert sounds[1:].abs().max() > 0.0


def test_nothing_to_learn(tiny_config, tiny_data, tmp_path):
    """Rows without any category are an error that says so."""
    from models.training import train

    rows = [row for row in (tiny_data / "train.jsonl").read_text(encoding="utf-8").splitlines() if '"none"' in row]
    (tmp_path / "plain.jsonl").write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(DatasetError, match="nothing to train on"):
        train(tiny_config, [tmp_path / "plain.jsonl"], tmp_path)


def test_card_names_sources(tiny_model, tiny_data):
    """The card says what the model was made of, with counts that add up."""
    card = json.loads((tiny_model / "card.json").read_text(encoding="utf-8"))
    assert sum(source["rows"] for source in card["sources"]) == len(read_rows(tiny_data / "train.jsonl"))
    assert {source["licence"] for source in card["sources"]} == {"Apache-2.0", "not stated"}
    assert card["weaknesses"]
    assert card["thresholds"] == {"A2.d": 0.8, "X.spam": 0.8}


def test_progress_reaches_the_end(tiny_config, tiny_data, tmp_path):
    """Progress runs up to its total in every stage, and warns about nothing."""
    from models.training import train

    seen = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = dataclasses.replace(tiny_config, epochs=2)
        train(config, [tiny_data / "train.jsonl"], tmp_path, lambda p: seen.__setitem__(p.stage, p))
    assert seen["epoch 2 of 2"].done == seen["epoch 2 of 2"].total
    assert seen["calibration"].done == seen["calibration"].total


def test_members_are_averaged(tiny_config, tiny_data, tmp_path):
    """A model of two members is the mean of both: other than either, and as good as one."""
    from models.training import train

    config = dataclasses.replace(tiny_config, members=2, epochs=4)
    card = train(config, [tiny_data / "train.jsonl"], tmp_path, dev_path=tiny_data / "dev.jsonl")
    assert {path.name for path in tmp_path.glob("checkpoint-*.pt")} == {"checkpoint-0.pt", "checkpoint-1.pt"}
    assert card.metrics["dev"]["as_prompt"]["overall"]["recall"] > 0.9


def test_a_quick_run_measures_some_rows(tiny_config, tiny_data, tiny_model, tmp_path):
    """So many rows are measured on at most; the model is the one of a run that measures on all."""
    from models.training import train

    few = dataclasses.replace(tiny_config, measured_rows=20)
    card = train(few, [tiny_data / "train.jsonl"], tmp_path, dev_path=tiny_data / "dev.jsonl")
    whole = load_classifier(tiny_model).card
    assert card.metrics["dev"]["rows"] == 20 < whole.metrics["dev"]["rows"]
    assert card.version == whole.version
