"""The way of a term on the command line: proposals with keys, history, undo, expiry."""

import json
from functools import partial

import pytest
from typer.testing import CliRunner

from filters.lexicon import Term
from gateway.cli import app
from gateway.crypto import Cipher
from gateway.store import Store

SECRET = "a secret of many characters"
ADMIN = "the-first-admin-key-of-the-tests"


@pytest.fixture
def sluice(tmp_path, monkeypatch, run_sluice):
    """Run a command in an empty folder, with nothing of this machine's environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLUICE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SLUICE_SECRET_KEY", SECRET)
    monkeypatch.setenv("SLUICE_ADMIN_KEY", ADMIN)

    return partial(run_sluice, "lexicon")


@pytest.fixture
def store(tmp_path, sluice):
    """The store that the commands work on."""
    sluice("list")
    opened = Store(f"sqlite:///{tmp_path / 'data' / 'sluice.db'}", Cipher(SECRET))
    yield opened
    opened.close()


@pytest.fixture
def key_of(store, tmp_path):
    """A function that makes a key and gives the file that it stands in."""

    def make(scope, name):
        path = tmp_path / f"{name}.key"
        path.write_text(store.keys.create(scope, name)[1] + "\n")
        return path

    return make


def test_a_term_goes_its_way(sluice, store, key_of, tmp_path):
    """Two people and a trial put a term live, each with their key; the history and its undo know of it."""
    li, wang = key_of("review", "li"), key_of("admin", "wang")
    made = sluice(
        "propose", "--term", "诚招样例代理", "--category", "A1.d", "--expires", "2099-12-31", "--key-file", li
    ).stdout.strip()
    assert "second" not in sluice("proposals", made).stdout
    assert "somebody else" in sluice("approve", made, "--key-file", li, code=1).stderr
    sluice("approve", made, "--note", "yes", "--key-file", wang)
    assert "has scope review" in sluice("activate", made, "--key-file", li, code=1).stderr
    assert "comes after tried" in sluice("activate", made, "--key-file", wang, code=1).stderr
    (tmp_path / "own.txt").write_text("平常的一句话\n")
    assert "1 of them yours" in sluice("try-proposal", made, "--corpus", "own.txt", stdin=ADMIN + "\n").stderr
    sluice("activate", made, "--key-file", wang)
    assert store.terms.all() == [Term("诚招样例代理", "A1.d", expires="2099-12-31")]
    shown = json.loads(sluice("proposals", made, "--json").stdout)
    assert [step["by"] for step in shown["steps"]] == ["li", "wang", "first admin key", "wang"]
    assert f"activate (proposal {made})" in sluice("history").stdout
    assert "undid change 1 (activate by wang)" in sluice("undo").stdout
    assert store.terms.count() == 0
    assert "undone" in sluice("proposals").stdout
    assert [entry.action for entry in store.audit.latest(2)] == ["lexicon.undo", "proposal.activate"]


def test_a_trial_with_hits_needs_anyway(sluice, store, key_of):
    """Hits in ordinary text end the trial with 1 and show where; only --anyway goes on."""
    li, wang = key_of("review", "li"), key_of("admin", "wang")
    made = sluice("propose", "--term", "天气", "--category", "A1.d", "--key-file", li).stdout.strip()
    sluice("approve", made, "--key-file", wang)
    assert "【天气】" in sluice("try-proposal", made, "--key-file", li, code=1).stdout
    said = sluice("activate", made, "--key-file", wang, code=1).stderr
    assert "in ordinary text" in said
    assert "--anyway" in said
    assert store.terms.count() == 0
    sluice("activate", made, "--anyway", "--key-file", wang)
    assert "in spite of" in sluice("proposals", made).stdout


def test_counts_are_said_right(sluice, key_of):
    """One is one, and a trial without hits names how many terms it tried."""
    li, wang = key_of("review", "li"), key_of("admin", "wang")
    proposed = sluice("propose", "--term", "诚招样例代理", "--category", "A1.d", "--key-file", li)
    assert "proposed 1 term;" in proposed.stderr
    made = proposed.stdout.strip()
    sluice("approve", made, "--key-file", wang)
    assert "0 hits by 0 of 1 term in " in sluice("try-proposal", made, "--key-file", li).stderr


@pytest.mark.parametrize("step", ["approve", "activate", "reject", "try-proposal", "proposals"])
def test_an_unknown_proposal_is_said_alike(sluice, step):
    """Every command says in the same words that there is no such proposal, and where they are shown."""
    said = sluice(step, "nothing", stdin=ADMIN, code=1).stderr
    assert "there is no proposal 'nothing': `sluice lexicon proposals` shows them" in said


def test_an_export_says_what_it_wrote(sluice, tmp_path):
    """How many terms went where is said beside the file, not in it."""
    (tmp_path / "in.csv").write_text("term,category\n诚招样例代理,A1.d\n")
    assert "imported 1 term; 1 imported term is active" in sluice("import", "in.csv").stdout
    assert sluice("export", "out.csv").stderr == "1 term to out.csv\n"
    shown = sluice("export")
    assert (shown.stdout, shown.stderr) == ((tmp_path / "out.csv").read_text(), "1 term to stdout\n")


def test_a_missing_category_is_said_with_its_option(sluice, tmp_path):
    """A word list without categories names the option that gives one; an unknown code, where the codes are listed."""
    (tmp_path / "words.txt").write_text("诚招样例代理\n")
    assert "give one for all of them with --category" in sluice("import", "words.txt", code=1).stderr
    assert "`sluice lexicon coverage`" in sluice("import", "words.txt", "--category", "Z9", code=1).stderr


def test_nobody_without_a_key(sluice, store):
    """Without a key that is in force nothing is proposed; a bad term or date is said in one line."""
    proposing = ["propose", "--term", "词语", "--category", "A1.d"]
    assert "unknown or revoked" in sluice(*proposing, stdin="wrong\n", code=1).stderr
    for stdin in (None, "\n"):
        assert "no control-plane key was given" in (said := sluice(*proposing, stdin=stdin, code=1).stderr)
        assert "use --key-file" in said
    assert "expires must be" in sluice(*proposing, "--expires", "soon", stdin=ADMIN, code=1).stderr
    assert "category is empty" in sluice("propose", "--term", "词语", stdin=ADMIN, code=1).stderr
    assert "unknown needs 'model'" in sluice(*proposing, "--needs", "model", stdin=ADMIN, code=1).stderr
    assert "give one of FILE and --term" in sluice("propose", code=2).stderr
    assert store.proposals.list() == []


def test_undo_restores_the_export_byte_for_byte(sluice, tmp_path):
    """What an import replaced is exported again as it was, and the history names who ran the commands."""
    (tmp_path / "one.csv").write_text("term,category,note,expires\n词一,A1.d,注,2030-01-01T08:00Z\n词二,A1.h,,\n")
    (tmp_path / "two.csv").write_text("term,category,action\n词二,A1.h,flag\n词三,A1.d,\n")
    sluice("import", "one.csv")
    before = sluice("export").stdout
    assert before.startswith("term,category,action,match,unless,with,within,note,expires\n")
    sluice("import", "two.csv", "--replace")
    sluice("undo", "7", code=1)
    assert "undid change 2" in sluice("undo", "2").stdout
    assert sluice("export").stdout == before
    told = json.loads(sluice("history", "--json").stdout)
    assert [(change["action"], change["added"], change["changed"], change["removed"]) for change in told] == [
        ("undo", 1, 1, 1), ("replace", 1, 1, 1), ("import", 2, 0, 0)
    ]  # fmt: skip
    assert all(change["actor"].endswith("on the command line") for change in told)
    one = sluice("history", "2").stdout
    assert all(title in one for title in ("added:", "before:", "after:", "removed:"))
    assert json.loads(sluice("history", "2", "--json").stdout)["terms"]["removed"][0]["term"] == "词一"


def test_an_expired_term_shows_as_such(sluice, tmp_path):
    """An expired term is listed as expired, is still exported, and no longer found by `sluice check`."""
    (tmp_path / "terms.csv").write_text("term,category,expires\n古怪样例,A1.d,2020-01-01\n稀罕样例,A1.d,2099-01-01\n")
    sluice("import", "terms.csv")
    listed = sluice("list").stdout
    assert "2020-01-01 (expired)" in listed
    assert "2099-01-01 (expired)" not in listed
    assert "古怪样例" in sluice("export").stdout
    decisions = [CliRunner().invoke(app, ["check", word]).exit_code for word in ("古怪样例", "稀罕样例")]
    assert decisions == [0, 1]
