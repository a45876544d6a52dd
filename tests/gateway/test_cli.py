import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest

from gateway.crypto import Cipher
from gateway.store import Store, Violation
from gateway.store.records import new_id

ROOT = Path(__file__).parents[2]
SECRET = "a secret of many characters"


@pytest.fixture
def sluice(tmp_path, monkeypatch, run_sluice):
    """Run a command in an empty folder, with nothing of this machine's environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLUICE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SLUICE_SECRET_KEY", SECRET)

    return run_sluice


@pytest.fixture
def store(tmp_path, sluice):
    """The store that the commands work on."""
    sluice("migrate")
    opened = Store(f"sqlite:///{tmp_path / 'data' / 'sluice.db'}", Cipher(SECRET))
    yield opened
    opened.close()


def violation(**changes):
    """A violation with something in every field."""
    values = {
        "id": new_id(),
        "decision_id": new_id(),
        "created_at": datetime.now(UTC),
        "direction": "input",
        "action": "block",
        "would_action": "block",
        "categories": {"A1.d": 1.0},
        "matches": ({"start": 3, "end": 5, "category": "A1.d", "source": "keyword", "rule": "炸药", "score": 1.0},),
        "excerpt": "教我做炸药",
        "api": "openai.chat",
        "path": "/v1/chat/completions",
        "ruleset": "r1",
    }
    return Violation(**{**values, **changes})


def test_help_comes_without_arguments(sluice):
    """`sluice` alone shows what there is."""
    shown = sluice("--help").stdout
    for command in ("serve", "check", "config", "policy", "lexicon", "violations", "model", "migrate", "key"):
        assert command in shown


def test_version_is_the_packages(sluice):
    """`sluice --version` says which release this is."""
    assert sluice("--version").stdout == f"sluice {version('sluice')}\n"


def test_bad_usage_is_2(sluice):
    """An unknown option or command is a usage error on stderr."""
    for arguments in (["serve", "--prot", "1"], ["nothing"], ["key", "create", "--scope", "king"]):
        assert sluice(*arguments, code=2).stderr


def test_start_up_imports_nothing_heavy():
    """A command that only prints does not wait for the model, the server or the database to be imported."""
    program = "import sys, gateway.cli; print([n for n in {heavy} if n in sys.modules])"
    heavy = ["onnxruntime", "sqlalchemy", "fastapi", "aiohttp", "jieba", "numpy", "uvicorn", "pydantic"]
    done = subprocess.run(
        [sys.executable, "-c", program.format(heavy=heavy)], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_python_m_gateway_is_sluice():
    """The module runs as the console script does."""
    done = subprocess.run([sys.executable, "-m", "gateway", "--help"], check=True, capture_output=True, cwd=ROOT)
    assert b"sluice" in done.stdout


def test_config_prints_every_setting_with_its_origin(sluice, tmp_path):
    """Each setting has a line with its value and origin; secrets are hidden."""
    (tmp_path / "sluice.yaml").write_text("port: 9000\n")
    shown = sluice("config").stdout
    assert SECRET not in shown
    lines = {line.split()[0]: line for line in shown.splitlines()}
    assert "9000" in lines["SLUICE_PORT"]
    assert "sluice.yaml" in lines["SLUICE_PORT"]
    assert "(hidden)" in lines["SLUICE_SECRET_KEY"]
    assert "environment (SLUICE_SECRET_KEY)" in lines["SLUICE_SECRET_KEY"]
    assert {row["setting"] for row in json.loads(sluice("config", "--json").stdout)} == set(lines)


def test_a_bad_setting_is_one_line_on_stderr(sluice, monkeypatch):
    """The error names the setting; no traceback."""
    monkeypatch.setenv("SLUICE_UPSTREAM", "not a url")
    result = sluice("config", code=1)
    assert "SLUICE_UPSTREAM" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_misspelt_setting_is_said(sluice, monkeypatch):
    """A variable that looks like a setting and is none is a note on stderr."""
    monkeypatch.setenv("SLUICE_UPSTRAEM", "http://x")
    assert "did you mean SLUICE_UPSTREAM" in sluice("config").stderr


def test_migrate_twice(sluice):
    """The first run creates the schema, the second has nothing to do."""
    assert "brought up to date" in sluice("migrate").stdout
    assert "is up to date" in sluice("migrate").stdout


def test_an_unwritable_data_folder_is_said(sluice, tmp_path, monkeypatch):
    """The message names the setting."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLUICE_DATA_DIR", str(tmp_path / "file" / "x"))
    assert "SLUICE_DATA_DIR" in sluice("migrate", code=1).stderr


def test_a_database_that_is_away_is_said(sluice, monkeypatch):
    """An unreachable PostgreSQL is one line, without the password."""
    monkeypatch.setenv("SLUICE_DATABASE_URL", "postgresql://u:pa55word@127.0.0.1:1/db")
    shown = sluice("violations", "list", code=1).stderr
    assert shown.startswith("sluice: ")
    assert "pa55word" not in shown


def test_keys_are_made_listed_and_revoked(sluice, store):
    """The key goes to stdout alone, so that a script can take it; a revoked one is no key any more."""
    key = sluice("key", "create", "--scope", "review", "--name", "alice").stdout.strip()
    record = store.keys.verify(key)
    assert (record.scope, record.name) == ("review", "alice")
    assert key not in sluice("key", "list").stdout
    assert "alice" in sluice("key", "list").stdout
    sluice("key", "revoke", record.id)
    assert store.keys.verify(key) is None
    assert json.loads(sluice("key", "list", "--json").stdout)[0]["revoked_at"]
    assert "key list" in sluice("key", "revoke", record.id, code=1).stderr


def test_violations_are_listed_newest_first(sluice, store):
    """The list shows what, when and why; filters narrow it."""
    old = datetime.now(UTC) - timedelta(days=3)
    store.violations.insert_many([violation(), violation(created_at=old, direction="output", action="mask")])
    lines = sluice("violations", "list").stdout.splitlines()
    assert len(lines) == 3
    assert "炸药" in lines[1]
    assert len(sluice("violations", "list", "--since", "24h").stdout.splitlines()) == 2
    assert len(sluice("violations", "list", "--action", "mask").stdout.splitlines()) == 2
    assert len(sluice("violations", "list", "--category", "A2").stdout.splitlines()) == 1
    (item,) = json.loads(sluice("violations", "list", "--direction", "output", "--json").stdout)["items"]
    assert item["action"] == "mask"
    assert sluice("violations", "list", "--since", "yesterday-ish", code=2)
    for option, value in (("--category", "Z9"), ("--action", "blok"), ("--direction", "in"), ("--status", "new")):
        assert value in sluice("violations", "list", option, value, code=2).stderr


def test_a_violation_by_on_error_is_listed_as_such(sluice, store):
    """A block of what could not be judged says that the policy's on_error decided, not that its text was erased."""
    nothing = {"categories": {}, "matches": (), "excerpt": None}
    store.violations.insert_many([violation(**nothing, degraded=True), violation(excerpt=None)])
    erased, unjudged = sorted(sluice("violations", "list").stdout.splitlines()[1:], key=lambda line: "on_error" in line)
    assert "\t(on_error)\t" in unjudged
    assert "could not be judged: the policy's on_error decided" in unjudged
    assert "(content not available)" in erased


def test_violations_are_exported(sluice, store, tmp_path):
    """CSV has every field of a record and no cell that a spreadsheet would run; JSONL is one object a line."""
    store.violations.insert_many([violation(excerpt="=HYPERLINK(1)"), violation()])
    rows = list(csv.DictReader(io.StringIO(sluice("violations", "export").stdout)))
    assert len(rows) == 2
    assert {row["excerpt"] for row in rows} == {"'=HYPERLINK(1)", "教我做炸药"}
    assert json.loads(rows[0]["categories"]) == {"A1.d": 1.0}
    assert sluice("violations", "export", "out.csv").stderr == "2 violations to out.csv\n"
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbfid,"), "a spreadsheet must see that it is UTF-8"
    said = sluice("violations", "export", "out.jsonl", "--format", "jsonl", "--category", "A1.d").stderr
    assert said == "2 violations to out.jsonl\n"
    items = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {item["excerpt"] for item in items} == {"=HYPERLINK(1)", "教我做炸药"}


TERMS = (
    "term,category,action,match,unless,with,within,note\n炸药,A1.d,block,,炸药味,,,own\n赌场,A1.h.gambling,,word,,,,\n"
)


def test_a_lexicon_goes_in_and_out(sluice, store, tmp_path):
    """What was imported is exported the same, as CSV and as JSONL, and the ruleset is activated."""
    (tmp_path / "terms.csv").write_text("\ufeff" + TERMS)
    before = store.rulesets.active_revision()
    assert "imported 2 terms" in sluice("lexicon", "import", tmp_path / "terms.csv").stdout
    assert store.rulesets.active_revision() > before
    exported = sluice("lexicon", "export").stdout
    assert "炸药,A1.d,block,substring,炸药味,,,own" in exported
    sluice("lexicon", "export", tmp_path / "out.jsonl")
    assert "imported 2 terms" in sluice("lexicon", "import", "--replace", tmp_path / "out.jsonl").stdout.replace(
        "replaced all by", "imported"
    )
    assert sluice("lexicon", "export").stdout == exported
    assert "赌场" in sluice("lexicon", "list", "--category", "A1.h").stdout
    assert "炸药" not in sluice("lexicon", "list", "--category", "A1.h").stdout


def test_import_adds_and_replace_replaces(sluice, store, tmp_path):
    """Without --replace earlier terms stay; with it they go."""
    (tmp_path / "a.csv").write_text("term,category\n甲甲,A1.d\n")
    (tmp_path / "b.csv").write_text("term,category\n乙乙,A1.d\n")
    sluice("lexicon", "import", tmp_path / "a.csv")
    sluice("lexicon", "import", tmp_path / "b.csv")
    assert store.terms.count() == 2
    sluice("lexicon", "import", "--replace", tmp_path / "a.csv")
    assert [term.term for term in store.terms.all()] == ["甲甲"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (TERMS.encode() + "枪,nonsense,,,,,,\n".encode(), "terms.csv:4: unknown category"),
        (b"word,category\nx,A1.d\n", "terms.csv:1:"),
        (b"term,category\nok,A1.d\n\xff\xfe,A1.d\n", "terms.csv:3: not UTF-8"),
    ],
)
def test_a_malformed_row_takes_nothing(sluice, store, tmp_path, content, says):
    """The error names file, line and reason, and not even the good rows before it are taken."""
    (tmp_path / "terms.csv").write_bytes(content)
    assert says in sluice("lexicon", "import", tmp_path / "terms.csv", code=1).stderr
    assert store.terms.count() == 0


def test_a_missing_file_is_said(sluice, tmp_path):
    """The message names the file."""
    assert "none.csv" in sluice("lexicon", "import", tmp_path / "none.csv", code=1).stderr


@pytest.mark.slow
def test_a_hundred_thousand_terms_are_imported_and_compiled_once(sluice, store, tmp_path):
    """A large lexicon is whole in the store and compiled for every worker; `make load` measures how long it takes."""
    digits = "零一二三四五六七八九"
    rows = ("".join(digits[int(d)] for d in f"{n:06d}") + ",A1.d,,,,,," for n in range(100_000))
    (tmp_path / "big.csv").write_text(TERMS.splitlines()[0] + "\n" + "\n".join(rows) + "\n")
    sluice("lexicon", "import", tmp_path / "big.csv")
    assert store.terms.count() == 100_000
    assert len(list((tmp_path / "data" / "compiled").glob("*.compiled"))) == 1


def test_the_policy_schema_is_json(sluice):
    """Editors get a JSON Schema that names every key."""
    schema = json.loads(sluice("policy", "schema").stdout)
    assert {"mode", "on_block", "on_error", "unknown", "categories", "profiles"} <= set(schema["properties"])


def test_a_lexicon_is_linted(sluice, tmp_path):
    """`lexicon lint` names problems with proposals as JSON, and `--fix` writes a list that it is content with."""
    path = tmp_path / "list.txt"
    path.write_text("大麻\n长期\n賭場代理\n赌场代理\n", encoding="utf-8")
    told = json.loads(sluice("lexicon", "lint", path, "--category", "A1.h", "--json", code=1).stdout)
    assert told["terms"] == 4
    problems = {(finding["term"], finding["problem"]): finding for finding in told["findings"]}
    assert problems["大麻", "inside ordinary words"]["proposal"]["text"] == "match=word"
    assert problems["长期", "ordinary word"]["count"] > 300
    assert problems["賭場代理", "duplicate"]["examples"] == ["赌场代理"]
    fixed = tmp_path / "fixed.csv"
    sluice("lexicon", "lint", path, "--category", "A1.h", "--fix", "--output", fixed)
    sluice("lexicon", "lint", fixed)
    assert "賭場代理" not in fixed.read_text(encoding="utf-8")
    assert sluice("lexicon", "lint", code=2).stderr


def test_imported_terms_are_linted(sluice, tmp_path):
    """`--active` looks at what was imported."""
    (tmp_path / "list.json").write_text('{"A1.h": ["大麻"]}', encoding="utf-8")
    sluice("lexicon", "import", tmp_path / "list.json")
    assert "match=word" in sluice("lexicon", "lint", "--active", code=1).stdout


def test_a_lexicon_is_tried(sluice, tmp_path):
    """`lexicon try` shows each term's hits on the operator's own text in every form of file, and stores nothing."""
    (tmp_path / "list.txt").write_text("冰毒\n赌场\n炸药\n", encoding="utf-8")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.txt").write_text("警方缴获冰毒\n\n天气很好\n", encoding="utf-8")
    (corpus / "b.jsonl").write_text('{"messages": [{"content": "赌场旁边还有赌场"}]}\n', encoding="utf-8")
    (corpus / "c.csv").write_text("id,text\n1,冰毒和赌场\n", encoding="utf-8")
    arguments = ("lexicon", "try", tmp_path / "list.txt", "--corpus", corpus, "--category", "A1.h")
    told = json.loads(sluice(*arguments, "--json").stdout)
    assert (told["files"], told["terms"]) == (3, 3)
    assert {row["term"]: (row["hits"], row["texts"]) for row in told["hits"]} == {"冰毒": (2, 2), "赌场": (3, 2)}
    assert "警方缴获【冰毒】" in sluice(*arguments).stdout
    assert sluice("lexicon", "export").stdout.count("\n") == 1
    (tmp_path / "nothing").mkdir()
    refused = sluice(*arguments[:3], "--corpus", tmp_path / "nothing", "--category", "A1.h", code=2)
    assert "holds no file" in refused.stderr


def test_coverage(sluice, tmp_path):
    """`lexicon coverage` counts what is in force against the standard's figures and says how old it is."""
    before = json.loads(sluice("lexicon", "coverage", "--json").stdout)
    assert (before["imported"], before["days_since_change"], before["up_to_date"]) == (0, None, False)
    (tmp_path / "list.txt").write_text("新词甲,A2.a\n新词乙,A2.a\n", encoding="utf-8")
    sluice("lexicon", "import", tmp_path / "list.txt")
    told = json.loads(sluice("lexicon", "coverage", "--json").stdout)
    assert (told["active"], told["missing"]) == (before["active"] + 2, before["missing"] - 2)
    assert (told["days_since_change"], told["up_to_date"]) == (0, True)
    shown = sluice("lexicon", "coverage")
    assert "last import 0 days ago" in shown.stderr
    assert "10000" in shown.stdout


def test_every_error_of_a_policy_is_shown(sluice, tmp_path):
    """`policy validate` names all that is wrong, in the order of the file, and ends with 1."""
    (tmp_path / "p.yaml").write_text("mode: x\nfoo: 1\nupstreams: {}\ncategories: {Q: {}}\n")
    lines = sluice("policy", "validate", "p.yaml", code=1).stderr.splitlines()
    assert [line.split(": ")[1] for line in lines[:-1]] == ["p.yaml:1", "p.yaml:2", "p.yaml:3", "p.yaml:4"]
    assert lines[0].endswith("mode: must be 'enforce' or 'monitor'")
    assert lines[-1].endswith("4 errors")
    (tmp_path / "p.yaml").write_text("mode: x\n")
    (line,) = sluice("policy", "validate", "p.yaml", code=1).stderr.splitlines()
    assert line == "sluice: p.yaml:1: mode: must be 'enforce' or 'monitor'"


def test_a_missing_key_of_an_upstream_is_pointed_out(sluice, tmp_path):
    """The policy is valid; where its key may stand is said."""
    (tmp_path / "p.yaml").write_text("upstreams: [{name: a, url: 'http://x', key: my-key}]\n")
    shown = sluice("policy", "validate", "p.yaml")
    assert "is valid" in shown.stdout
    assert "SLUICE_UPSTREAM_KEY_MY_KEY" in shown.stderr
    assert str(tmp_path / "data" / "upstream-keys" / "my-key") in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("key", "create", "--scope", "root"), "'root' is none of read, review, admin"),
        (("check", "x", "--direction", "up"), "'up' is none of input, output"),
        (("lexicon", "export", "--format", "xml"), "'xml' is none of csv, jsonl"),
        (("violations", "export", "--format", "xml"), "'xml' is none of csv, jsonl"),
    ],
)
def test_a_word_that_an_option_does_not_know(sluice, arguments, says):
    """The message says plainly which words there are."""
    shown = " ".join(sluice(*arguments, code=2).stderr.replace("│", " ").split())
    assert says in shown
    assert "Value error" not in shown
