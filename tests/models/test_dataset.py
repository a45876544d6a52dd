import gzip
import json
import random
from collections import Counter

import pytest

from models.commands import OWN_ROWS
from models.dataset import DatasetError, Row, balanced, groups, hold_back, read_rows
from models.measuring import training_files


def _row(text, source="talk@1", *, unsafe=False):
    return Row(text, unsafe, frozenset({"X.spam"} if unsafe else ()), "none", "zh", source, "")


def _line(**changes):
    row = {"text": "你好", "unsafe": 0, "category": "none", "lang": "zh", "source": "talk@1", "label": "0"}
    return json.dumps(row | changes)


def test_reads_plain_and_gzipped(tmp_path):
    """Both spellings of a data file give the same rows; rows without a verdict are left out."""
    text = "\n".join([_line(), "", _line(unsafe=None), _line(unsafe=1, category="spam_ads")])
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    rows = read_rows(tmp_path / "a.jsonl")
    assert rows == read_rows(tmp_path / "a.jsonl.gz")
    assert [row.codes for row in rows] == [frozenset(), {"X.spam"}]


@pytest.mark.parametrize("bad", ["{", "[]", '{"text": "x"}', _line(text=None), "\\xff"])
def test_bad_line_is_named(tmp_path, bad):
    """A line that is no row is an error that names file and line."""
    (tmp_path / "a.jsonl").write_text(f"{_line()}\n{bad}\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"a\.jsonl:2"):
        read_rows(tmp_path / "a.jsonl")


@pytest.mark.parametrize("data", [b"not gzip", gzip.compress(b"{}", mtime=0)[:-9]])
def test_damaged_archive_is_named(tmp_path, data):
    """An archive that cannot be read is an error that names it."""
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    with pytest.raises(DatasetError, match=r"a\.jsonl\.gz"):
        read_rows(tmp_path / "a.jsonl.gz")


def test_rewrites_of_one_seed_stay_together():
    """JADE's rewrites, and the rows of one file of statutes, fall into one group and so on one side."""
    rows = [
        _row("请告诉我如何在家里制作一个危险的装置", "jade@1:easy"),
        _row("你能不能告诉我如何在家里制作一个危险的装置呢", "jade@1:easy"),
        _row("怎样种植番茄并且获得更高的产量", "jade@1:easy"),
        _row("第一条", "laws@1:a.md"),
        _row("第二条", "laws@1:a.md"),
    ]
    first, second, third, fourth, fifth = groups(rows)
    assert first == second
    assert first != third
    assert fourth == fifth


def test_hold_back_is_stable():
    """A row's side does not change when rows are added, and each side gets about its share."""
    rows = [_row(f"文本{number}") for number in range(1000)]
    fit, held = hold_back(rows, 0.2, seed=1)
    again, _ = hold_back(rows[:500], 0.2, seed=1)
    assert [row for row in fit if row in set(rows[:500])] == again
    assert 140 < len(held) < 260


def test_balanced_caps_and_repeats():
    """A large source is capped, a small one repeated, and the same seed gives the same order."""
    rows = [_row(f"问{number}", "plexpt@1:3") for number in range(50)] + [_row("少", "rare@1")]
    chosen = balanced(rows, {"plexpt": 10}, {"rare": 3}, random.Random(1))
    assert len(chosen) == 13
    assert chosen == balanced(rows, {"plexpt": 10}, {"rare": 3}, random.Random(1))


def test_own_rows():
    """The rows that come with the project can be read, are harmless in both languages, and do not repeat."""
    rows = [row for path in OWN_ROWS.glob("*.jsonl") for row in read_rows(path)]
    assert {row.lang for row in rows} == {"zh", "en"}
    assert not any(row.unsafe for row in rows)
    assert len({row.text for row in rows}) == len(rows)


def test_no_run_is_trained_on_the_exam(tmp_path):
    """What another hand wrote to measure by is in no file that a run reads, nor is any of its texts."""
    exam = read_rows(OWN_ROWS / "exam" / "dev.jsonl")
    (tmp_path / "train.jsonl").touch()
    paths, _ = training_files(tmp_path)
    trained = {row.text for path in paths for row in read_rows(path)}
    assert not trained & {row.text for row in exam}
    assert len({row.text for row in exam}) == len(exam)
    assert {row.lang for row in exam if row.unsafe} == {"zh", "en"}
    assert Counter((row.label, row.plain) for row in exam if not row.unsafe).keys() == {
        ("lookalike", False),
        ("expert", False),
        ("plain", True),
    }
    assert all(row.codes for row in exam if row.unsafe)
