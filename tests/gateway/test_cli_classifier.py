"""What an operator tries before anybody depends on it."""

import json

import pytest

from models.remote_classifier import RemoteClassifier

TEI = "classifier: {{kind: http, api: tei, url: '{url}', key: ours, labels: {{insult: A4.a.bullying}}}}\n"


@pytest.fixture
def sluice(tmp_path, monkeypatch, run_sluice):
    """Run a command in an empty folder, with nothing of this machine's environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLUICE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SLUICE_CLASSIFIER_KEY_OURS", "sk-of-ours")

    return run_sluice


@pytest.fixture
def policy(tmp_path, classifier_server):
    """A policy with a classifier that the test's server answers for."""
    path = tmp_path / "p.yaml"
    path.write_text(TEI.format(url=classifier_server.url))
    return path


def test_one_text_is_tried(sluice, policy):
    """Version, coverage, every score, each segment, and what counts for nothing."""
    shown = sluice("model", "try", "今天很好。你是个坏蛋。", "--policy", policy)
    first, *lines = shown.stdout.splitlines()
    assert "coverage full" in first
    assert lines[0].split()[:2] == ["0.950", "A4.a.bullying"]
    assert ["0-5" in lines[1], "5-11" in lines[2]] == [True, True]
    assert "advert" in shown.stderr
    told = json.loads(sluice("model", "try", "-", "--policy", policy, "--json", stdin="你好").stdout)
    assert (told["scores"], told["coverage"]) == ({"A4.a.bullying": 0.01}, "full")
    assert [segment["text"] for segment in told["segments"]] == ["你好"]


def test_the_policy_in_force_is_tried(sluice, tmp_path, monkeypatch):
    """Without a policy of its own: what a server with these settings would use."""
    told = json.loads(sluice("model", "try", "你好", "--json").stdout)
    assert told["version"].startswith("sluice-")
    monkeypatch.setenv("SLUICE_CLASSIFIER", "none")
    assert "SLUICE_CLASSIFIER is none" in sluice("model", "try", "你好", code=2).stderr


def test_what_cannot_be_tried_is_one_line(sluice, policy, classifier_server):
    """A server that is away, a missing key: told, with status 2."""
    classifier_server.stop()
    (line,) = sluice("model", "try", "你好", "--policy", policy, code=2).stderr.splitlines()[-1:]
    assert line == "sluice: http cannot be reached (ConnectError)"
    policy.write_text(policy.read_text().replace("key: ours", "key: theirs"))
    assert "SLUICE_CLASSIFIER_KEY_THEIRS" in sluice("model", "try", "你好", "--policy", policy, code=2).stderr


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--profile", "nobody"], 2)])
def test_its_connections_are_let_go(sluice, policy, monkeypatch, options, code):
    """Also where the profile that somebody asks for does not exist."""
    closed = []
    close = RemoteClassifier.close
    monkeypatch.setattr(RemoteClassifier, "close", lambda self: closed.append(close(self)))
    monkeypatch.setenv("SLUICE_POLICY", str(policy))
    sluice("check", "今天很好。", *options, code=code)
    assert closed == [None]


def test_a_policy_is_validated_with_its_classifier(sluice, policy, classifier_server):
    """Where it is asked for; labels that the server does not have fail with their line."""
    shown = sluice("policy", "validate", policy, "--classifier")
    assert "A4.a.bullying" in shown.stdout
    assert "advert" in shown.stderr
    policy.write_text(policy.read_text().replace("insult:", "insults:"))
    assert "is valid" in sluice("policy", "validate", policy).stdout
    assert "p.yaml:1: classifier.labels.insults" in sluice("policy", "validate", policy, "--classifier", code=1).stderr


@pytest.mark.parametrize("away", ["stopped", "slow", "refusing the key"])
def test_labels_that_could_not_be_checked_are_told(sluice, policy, classifier_server, away):
    """A server that does not answer is no mistake of the policy, but nobody takes its labels for checked."""
    if away == "stopped":
        classifier_server.stop()
    elif away == "slow":
        classifier_server.behave("slow", seconds=3)
        policy.write_text(policy.read_text().replace("key: ours", "key: ours, timeout: 0.3"))
    else:
        classifier_server.behave("status", status=401)
    shown = sluice("policy", "validate", policy, "--classifier")
    (line,) = [line for line in shown.stderr.splitlines() if "could not be asked" in line]
    assert "labels were not checked: http " in line
    assert "is valid" in shown.stdout


def test_check_uses_it(sluice, policy, monkeypatch):
    """`sluice check` decides with the policy's classifier; where that fails it says degraded and blocks."""
    monkeypatch.setenv("SLUICE_POLICY", str(policy))
    monkeypatch.setenv("SLUICE_BASE_LEXICON", "none")
    assert "A4.a.bullying" in sluice("check", "你是个坏蛋", "--direction", "output", code=1).stdout
    assert sluice("check", "你好").stdout.startswith("allow")


def test_check_says_why_on_error_decided(sluice, policy, classifier_server, monkeypatch):
    """One line beside the result, however long the text: which classifier, and why; no word of the text, no key."""
    monkeypatch.setenv("SLUICE_POLICY", str(policy))
    monkeypatch.setenv("SLUICE_BASE_LEXICON", "none")
    classifier_server.stop()
    for more in ((), ("--json",)):
        shown = sluice("check", "你好。很长很私密的话。再见。", *more, code=1)
        (line,) = shown.stderr.splitlines()
        assert "http cannot be reached (ConnectError)" in line
        assert "on_error decided" in line
        assert "私密" not in line
        assert "sk-of-ours" not in line
    assert json.loads(shown.stdout)["degraded"]
    policy.write_text(policy.read_text() + "on_error: {input: pass, output: pass}\n")
    assert "on_error decided" in sluice("check", "你好").stderr


def test_keys_are_hidden(sluice):
    """`sluice config` names the variable and not what is in it."""
    shown = sluice("config").stdout
    assert "SLUICE_CLASSIFIER_KEY_OURS" in shown
    assert "sk-of-ours" not in shown
