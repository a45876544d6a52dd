import re
import sys

import pytest

from gateway.commands import terminal

ID = "019ab0c5-7f3e-7d52-9c3b-2f60a0d7c1aa"
HEADINGS = ["time (UTC)", "direction", "action", "categories", "status", "excerpt", "id"]
ROW = [
    "2026-11-22 11:00:00",
    "input",
    "block",
    "A1.h.weapons_cbrne",
    "open",
    "他买了炸鸡和炸药，[b]还有别的[/b]" * 4,
    ID,
]


@pytest.fixture
def shown(monkeypatch, capsys):
    """A function that shows a table on a terminal of so many columns."""

    def show(width, headings, rows):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        terminal.table(headings, rows)
        return re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)

    return show


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 240])
@pytest.mark.parametrize("first", [False, True])
def test_an_id_can_be_copied_whole(shown, width, first):
    """However narrow the terminal is, an id stands on one line, in whichever column."""
    move = (lambda cells: [cells[-1], *cells[:-1]]) if first else list
    out = shown(width, move(HEADINGS), [move(ROW)] * 3)
    assert out.count(ID) == 3
    assert max(map(len, out.splitlines())) <= max(width, len(ID) + 2)


def test_nothing_else_is_lost_where_it_is_narrow(shown):
    """All cells of a row stand before its id, as they are."""
    together = "".join(shown(60, HEADINGS, [ROW]).split())
    assert together == "".join("".join(ROW).split())


def test_a_table_without_ids_is_a_table(shown):
    """Headings and rows, as wide as the terminal."""
    out = shown(60, ["term", "category"], [["炸药", "A1.d"]])
    assert [line.split() for line in out.splitlines()] == [["term", "category"], ["炸药", "A1.d"]]
