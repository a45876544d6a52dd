import json

import pytest

TERMS = """term,category,action
炸药,A1.d,block
赌场,A1.h.gambling,mask
彩票,A1.h.gambling,flag
"""
POLICY = """
categories: {"A1.h": {output: {action: block}}}
profiles:
  open: {mode: monitor}
"""


@pytest.fixture
def sluice(tmp_path, monkeypatch, run_sluice):
    """Run a command under a policy and terms of the test's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "terms.csv").write_text(TERMS)
    for name, value in {"POLICY": "policy.yaml", "BASE_LEXICON": "none", "CLASSIFIER": "none"}.items():
        monkeypatch.setenv(f"SLUICE_{name}", value)

    return run_sluice


@pytest.fixture
def check(sluice):
    """`sluice check` after the terms were imported."""
    sluice("lexicon", "import", "terms.csv")

    def run(*arguments, **more):
        return sluice("check", *arguments, **more)

    return run


@pytest.mark.parametrize(
    ("text", "code", "action"),
    [
        ("今天天气很好", 0, "allow"),
        ("买彩票", 0, "flag"),
        ("去赌场", 1, "mask"),
        ("炸药", 1, "block"),
        ("炸\u200b 药", 1, "block"),
        ("", 0, "allow"),
    ],
)
def test_the_exit_code_is_the_verdict(check, text, code, action):
    """0 for allow and flag, 1 for mask and block; the first word on stdout is the action."""
    assert check(text, code=code).stdout.split()[0] == action


def test_matches_are_shown_with_their_place(check):
    """Each match has its characters, category, rule and action."""
    shown = check("去赌 场吧", code=1).stdout
    assert "1-4" in shown
    assert "赌 场" in shown
    assert "A1.h.gambling" in shown
    assert "masked: 去***吧" in shown


def test_json_is_that_of_the_endpoint(check):
    """The JSON carries action, matches with offsets, and the masked text."""
    found = json.loads(check("炸药和赌场", "--json", code=1).stdout)
    assert found["action"] == "block"
    assert [(match["start"], match["end"], match["rule"]) for match in found["matches"]] == [
        (0, 2, "炸药"),
        (3, 5, "赌场"),
    ]
    assert found["masked"] == "**和**"


def test_a_text_comes_from_a_file_or_stdin(check, tmp_path):
    """--file reads a file, - reads stdin."""
    (tmp_path / "text.txt").write_text("炸药")
    check("--file", "text.txt", code=1)
    check("-", stdin="炸药", code=1)


def test_direction_and_profile_choose_the_rules(check):
    """Rules differ by direction, and a profile in monitor mode delivers."""
    assert check("买彩票", "--direction", "output").stdout.startswith("flag")
    assert check("炸药", "--profile", "open").stdout.startswith("block (monitor mode: flag)")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["text", "--file", "text.txt"],
        ["--file", "missing.txt"],
        ["text", "--direction", "sideways"],
        ["text", "--profile", "nobody"],
    ],
)
def test_what_cannot_be_judged_is_2(check, arguments):
    """Bad usage, an unreadable file or an unknown profile never look like a verdict."""
    assert check(*arguments, code=2).stderr


def test_bytes_that_are_no_text_are_2(check, tmp_path):
    """A file that is not UTF-8 is named."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in check("--file", "binary", code=2).stderr


def test_a_broken_policy_is_2(check, tmp_path):
    """The message has file, line and reason."""
    (tmp_path / "policy.yaml").write_text("mode: enforce\non_block: explode\n")
    assert "policy.yaml:2" in check("x", code=2).stderr


def test_a_check_leaves_no_files(sluice, tmp_path):
    """Where there is no database yet, none is made."""
    before = set(tmp_path.iterdir())
    sluice("check", "你好")
    assert set(tmp_path.iterdir()) == before


def test_a_policy_is_validated(sluice, tmp_path):
    """A good file has a version; of a bad one file, line and reason are said; an unknown code is suggested."""
    assert "is valid" in sluice("policy", "validate", "policy.yaml").stdout
    (tmp_path / "bad.yaml").write_text("version: 1\ncategories:\n  A1.h.gamblin: {action: block}\n")
    said = sluice("policy", "validate", "bad.yaml", code=1).stderr
    assert "bad.yaml:3" in said
    assert "A1.h.gambling" in said
    assert "missing.yaml" in sluice("policy", "validate", "missing.yaml", code=1).stderr


def test_the_policy_in_force_is_shown(sluice):
    """Defaults are filled in, and a profile is laid over them."""
    assert json.loads(sluice("policy", "show", "--json").stdout)["mode"] == "enforce"
    assert json.loads(sluice("policy", "show", "--json", "--profile", "open").stdout)["mode"] == "monitor"
    assert "policy.yaml" in sluice("policy", "show").stderr


def test_explain_says_what_was_read_as_what(check):
    """Each step of a disguise is said in both languages, and only when asked for."""
    plain = check("炸\u200b 藥", code=1).stdout
    told = check("炸\u200b 藥", "--explain", code=1).stdout
    assert "→" not in plain
    assert "繁体 藥 → 药 | traditional 藥 → 药" in told
    assert "invisible ×1 (U+200B)" in told
    assert "separator ×1 (U+0020)" in told
    shown = json.loads(check("炸藥", "--json", code=1).stdout)
    assert shown["matches"][0]["how"] == [{"kind": "traditional", "written": "藥", "read": "药"}]
    assert "→" not in check("炸药", "--explain", code=1).stdout
