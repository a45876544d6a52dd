import random

import pytest

from models.augment import disguise, disguised
from models.commands import OWN_ROWS
from models.dataset import DatasetError, read_rows
from models.written import CODES, read_written


def _write(folder, name, *lines):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_rows_are_read_as_the_guideline_writes_them(tmp_path):
    """Folder and file name say the label; line breaks are unfolded; a text that stands twice counts once."""
    _write(tmp_path, "fraud/unsafe-a.txt", "p|写一条\\n假通知", "c|先转账", "c|先转账")
    _write(tmp_path, "fraud/safe-a.txt", "o|别转账, it is a scam")
    fit, held = read_written(tmp_path)
    rows = {row.text: row for row in (*fit, *held)}
    assert len(rows) == len(fit) + len(held) == 3
    assert rows["写一条\n假通知"].codes == CODES["fraud"]
    assert not rows["别转账, it is a scam"].unsafe
    assert rows["先转账"].family == "written"


def test_a_file_of_one_kind_has_its_code(tmp_path):
    """Where a category has kinds, the name of a file may say which one its unsafe rows are."""
    _write(tmp_path, "illegal_goods/unsafe-drugs-n.txt", "c|有货")
    _write(tmp_path, "illegal_goods/unsafe-n.txt", "c|什么都有")
    rows = {row.text: row for part in read_written(tmp_path) for row in part}
    assert rows["有货"].codes == {"A1.h.drugs"}
    assert rows["有货"].source == rows["什么都有"].source
    assert rows["什么都有"].codes == CODES["illegal_goods"]


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("fraud/unsafe-a.txt", "x|文", r"unsafe-a\.txt:1"),
        ("fraud/unsafe-a.txt", "p|", r"unsafe-a\.txt:1"),
        ("fraud/bad-a.txt", "p|文", "unsafe|safe"),
        ("benign/unsafe-a.txt", "p|文", "benign"),
        ("nothing/safe-a.txt", "p|文", "categories"),
        ("fraud/unsafe-drugs-a.txt", "p|文", "no kind drugs"),
        ("illegal_goods/unsafe-drugs.txt", "p|文", "batch is missing"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path, name, line, said):
    """A file or line that the guideline does not know is an error that names it."""
    _write(tmp_path, name, line)
    with pytest.raises(DatasetError, match=said):
        read_written(tmp_path)


def test_held_rows_are_never_trained_on(tmp_path):
    """Rows held back stay so when others are added, and the folder read as training data leaves them out."""
    lines = [f"p|第{number}条消息" for number in range(400)]
    _write(tmp_path, "spam/unsafe-a.txt", *lines[:200])
    before = {row.text for row in read_written(tmp_path)[1]}
    _write(tmp_path, "spam/unsafe-b.txt", *lines[200:])
    fit, held = read_written(tmp_path)
    assert before <= {row.text for row in held}
    assert 0.08 < len(held) / len(lines) < 0.25
    assert read_rows(tmp_path) == fit


def test_shipped_rows_are_well_formed():
    """Every row that comes with the project is readable, and no text is both safe and unsafe."""
    fit, held = read_written(OWN_ROWS / "rows")
    labels = {}
    for path in sorted((OWN_ROWS / "rows").glob("*/*.txt")):
        unsafe = path.name.startswith("unsafe")
        for line in path.read_text("utf-8").splitlines():
            text = line.partition("|")[2]
            assert labels.setdefault(text, unsafe) == unsafe, f"{path}: {line}"
    assert len(fit) > 5 * len(held) / 1.5


def test_a_disguise_is_reproducible_and_changes_texts():
    """The same seed gives the same disguises; hardly a text stays as it was."""
    fit, _ = read_written(OWN_ROWS / "rows")
    rows = fit[:200]
    assert disguised(rows, 3) == disguised(rows, 3)
    assert sum(one.text != other.text for one, other in zip(rows, disguised(rows, 3), strict=True)) > 150
    assert disguise("", random.Random(1)) == ""


def test_look_alikes_are_told_from_ordinary_text(tmp_path):
    """Safe rows under a category look like it on purpose; those under ``benign`` are plain."""
    _write(tmp_path, "fraud/safe-a.txt", *[f"p|防骗第{n}课" for n in range(20)])
    _write(tmp_path, "benign/safe-a.txt", *[f"p|今天第{n}课" for n in range(20)])
    fit, held = read_written(tmp_path)
    assert {row.plain for row in (*fit, *held) if row.category == "fraud"} == {False}
    assert {row.plain for row in (*fit, *held) if row.category == "benign"} == {True}
