import shutil
import subprocess
import sys
import time

import pytest

from filters.policy import Policy
from gateway.classifier_loading import ClassifierLoader, ClassifierRefused, ClassifierWatch
from gateway.settings import Settings
from gateway.sources import PolicySource
from models import SHIPPED_WEIGHTS, load_classifier
from models.card import ModelCard
from models.registry import Registry
from models.types import ClassifierError, Segment, Served

SHIPPED = "{kind: onnx, model: shipped}"
MEMBERS = "kind: ensemble|members:|  - {kind: onnx}"


class Counted:
    """Keeps what is counted."""

    def __init__(self):
        self.outcomes = []
        self.left = []

    def classifier_request(self, classifier, outcome):
        """Keep it."""
        self.outcomes.append((classifier, outcome))

    def classifier_left_alone(self, classifier, *, is_so):
        """Keep it."""
        self.left.append((classifier, is_so))


@pytest.fixture
def load(tmp_path):
    """Load what a policy says about its classifier."""
    loaders = {}
    loaded = []

    def make(rule=None, counters=None, **settings):
        settings = Settings(data_dir=tmp_path, **settings)
        body = (
            "mode: enforce\n"
            if rule is None
            else f"mode: enforce\nclassifier:\n  {rule.replace('|', chr(10) + '  ')}\n"
        )
        if rule is not None and rule.startswith("{"):
            body = f"mode: enforce\nclassifier: {rule}\n"
        loader = loaders.setdefault(repr(settings), ClassifierLoader(settings, counters and ClassifierWatch(counters)))
        made = loader.load(Policy.parse_yaml(body, "p.yaml"), PolicySource(body, "p.yaml", "file"))
        loaded.append(made)
        return made

    yield make
    for one in loaded:
        if isinstance(one, Served):
            one.close()


@pytest.fixture
def other(tmp_path):
    """A second version of our own model, as a candidate: the shipped weights under another calibration."""
    folder = tmp_path / "other"
    shutil.copytree(SHIPPED_WEIGHTS, folder)
    card = ModelCard.load(folder)
    calibration = {
        label: one.model_copy(update={"offset": one.offset - 1.0}) for label, one in card.calibration.items()
    }
    card.model_copy(update={"calibration": calibration, "name": "other"}).sealed().save(folder)
    return Registry(tmp_path).add(folder)


@pytest.mark.parametrize("rule", [None, "{kind: onnx}", "{kind: onnx, model: production}"])
def test_a_promoted_model_is_loaded_though_the_policy_says_what_it_said(load, tmp_path, other, rule):
    """What is promoted serves, and what is only a candidate changes nothing."""
    before = load(rule)
    assert load(rule) is before
    Registry(tmp_path).promote(other)
    assert load(rule).version == other
    Registry(tmp_path).rollback()
    assert load(rule).version == before.version


def test_what_is_promoted_does_not_touch_others(load, tmp_path, other):
    """A model that the policy names by its folder or version is not loaded again."""
    before = load(SHIPPED)
    Registry(tmp_path).promote(other)
    assert load(SHIPPED) is before


def test_without_a_word_of_the_policy_the_settings_count(load):
    """The shipped or promoted model, that of a folder, or none."""
    assert load().version == load_classifier().version
    assert load(classifier="none") is None
    assert load(classifier=str(SHIPPED_WEIGHTS)).version == load_classifier().version
    with pytest.raises(ClassifierError) as caught:
        load(classifier="/nowhere")
    assert not isinstance(caught.value, ClassifierRefused)


def test_a_transformers_model_in_the_wrong_place(load, tmp_path):
    """`SLUICE_CLASSIFIER` cannot say what labels stand for, and the error says where that is said."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ClassifierError, match="kind: transformers"):
        load(classifier=str(tmp_path))
    with pytest.raises(ClassifierRefused, match=r"p\.yaml:2: classifier\.model: .*kind: transformers"):
        load(f"{{kind: onnx, model: {tmp_path}}}")


def test_our_own_format_by_folder_version_or_setting(load):
    """`kind: onnx` takes each; where the setting is `none` there must be a name."""
    version = load_classifier().version
    for rule in (SHIPPED, "{kind: onnx}", f"{{model: {SHIPPED_WEIGHTS}}}", f"{{model: {version}}}"):
        assert load(rule).version == version
    with pytest.raises(ClassifierRefused, match=r"p\.yaml:2: classifier\.model: SLUICE_CLASSIFIER is none"):
        load("{kind: onnx}", classifier="none")
    assert load(SHIPPED, classifier="none").version == version
    with pytest.raises(ClassifierRefused, match=r"p\.yaml:4: classifier\.model: .*sluice model list"):
        load("kind: onnx|model: sluice-nothing-0")


def test_the_same_description_is_not_loaded_again(load, classifier_server):
    """A change of terms or rules keeps the classifier; another description or key makes another."""
    rule = f"{{kind: http, api: tei, url: '{classifier_server.url}', labels: {{insult: A4.a.bullying}}}}"
    first = load(rule)
    assert load(rule) is first
    assert load(rule[:-1] + ", timeout: 9}") is not first


def test_a_key_comes_from_its_place(load, classifier_server, tmp_path):
    """Without it the policy is refused and told where to put it; a file in the data folder will do, read anew."""
    rule = f"{{kind: http, api: tei, url: '{classifier_server.url}', key: ours, labels: {{insult: A4.a.bullying}}}}"
    with pytest.raises(ClassifierRefused, match=r"classifier\.key: its key is missing.*SLUICE_CLASSIFIER_KEY_OURS"):
        load(rule)
    assert classifier_server.seen == []
    (tmp_path / "classifier-keys").mkdir()
    (tmp_path / "classifier-keys" / "ours").write_text("sk-1\n")
    first = load(rule)
    (tmp_path / "classifier-keys" / "ours").write_text("sk-2\n")
    second = load(rule)
    assert first is not second
    assert [seen["key"] for seen in classifier_server.seen] == ["Bearer sk-1", "Bearer sk-2"]


@pytest.mark.parametrize(
    ("rule", "line", "said"),
    [
        ("kind: transformers|model: ./nowhere|labels: {a: X.spam}", 4, "classifier.model: ./nowhere is no folder"),
        ("kind: http|api: tei|url: URL|labels:|  insults: X.spam", 7, "http has no label 'insults'"),
        ("kind: http|api: vllm|url: URL|classes: [a, b]|labels: {a: X.spam}", 6, "3 classes, and classes names 2"),
        ("kind: guard|format: llama-guard|model: qwen|url: URL", 2, "neither `safe` nor `unsafe`"),
        ("kind: guard|format: llama-guard|model: llama|url: URL|labels:|  S99: X.spam", 8, "has no label 'S99'"),
        (
            f"{MEMBERS}|  - kind: http|    name: b|    api: tei|    url: URL|    labels: {{x: X.spam}}",
            10,
            "members.1.labels.x: b",
        ),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(load, classifier_server, rule, line, said):
    """A policy whose classifier does not fit what it names is refused like one that breaks the schema."""
    with pytest.raises(ClassifierRefused) as caught:
        load(rule.replace("URL", f"'{classifier_server.url}'"))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"p.yaml:{line}: ")


@pytest.mark.parametrize(
    "rule", ['{kind: onnx, model: "./a\\0b"}', f"{{kind: onnx, model: {'a' * 300}}}", "{model: ~nobody-at-all/m}"]
)
def test_whatever_a_library_raises_refuses_the_policy(load, rule):
    """A name that no file system takes, a home that nobody has: told as the policy's mistake and no crash."""
    with pytest.raises(ClassifierRefused, match=r"^p\.yaml:2: classifier: cannot be loaded \("):
        load(rule)


def test_a_server_that_is_away_is_waited_for(load, classifier_server):
    """It may be starting as well: no mistake, but a problem that readiness tells, and counted."""
    counted = Counted()
    classifier_server.stop()
    rule = "{kind: http, name: ours, api: tei, url: 'URL', labels: {insult: A4.a.bullying}, breaker_failures: 1}"
    one = load(rule.replace("URL", classifier_server.url), counted)
    assert isinstance(one, Served)
    assert "ours cannot be reached" in one.problems[0]
    assert counted.outcomes[-1] == ("ours", "unreachable")
    assert counted.left == [("ours", True)]


@pytest.mark.parametrize(
    "rule",
    [
        "{kind: http, name: ours, api: tei, url: 'URL', labels: {insult: A4.a.bullying}, breaker_pause: 0.2}",
        "{kind: guard, name: ours, format: llama-guard, model: llama, url: 'URL', breaker_pause: 0.2}",
    ],
)
def test_the_try_at_load_is_not_forgotten(load, classifier_server, rule, capsys):
    """A server that is away then is a problem at once, and logged; a probe finds that it has come."""
    counted = Counted()
    classifier_server.stop()
    one = load(rule.replace("URL", classifier_server.url), counted)
    assert one.problems == ("classifier ours cannot be reached (ConnectError)",)
    assert counted.left == [("ours", True)]
    printed = capsys.readouterr()
    assert "classifier_not_checked" in printed.out + printed.err
    classifier_server.start()
    time.sleep(0.3)
    one.probe()
    assert one.problems == ()
    assert counted.left[-1] == ("ours", False)


def test_an_optional_member_that_is_away_at_load_is_no_problem(load, classifier_server):
    """The others decide, so readiness does not depend on it; it is asked as usual once it is there."""
    counted = Counted()
    classifier_server.stop()
    member = "{kind: http, name: ours, api: tei, url: 'URL', labels: {insult: X.spam}, optional: true}"
    one = load(f"{MEMBERS}|  - {member}".replace("URL", classifier_server.url), counted)
    assert (one.problems, counted.left) == ([], [])


def test_a_server_that_is_slow_at_load_is_not_left_alone(load, classifier_server):
    """Its model may be warming up: only one that cannot be connected to is away."""
    classifier_server.behave("slow", seconds=3)
    counted = Counted()
    rule = "{kind: http, name: ours, api: tei, url: 'URL', labels: {insult: X.spam}, timeout: 0.3}"
    one = load(rule.replace("URL", classifier_server.url), counted)
    assert (one.problems, counted.left) == ((), [])
    assert counted.outcomes == [("ours", "timeout")]


def test_another_of_the_name_that_answers_is_not_left_alone(load, classifier_server):
    """A policy that names the right server ends the alarm about the wrong one."""
    counted = Counted()
    rule = "{kind: http, name: ours, api: tei, url: 'URL', labels: {insult: X.spam}}"
    load(rule.replace("URL", "http://127.0.0.1:1"), counted)
    assert counted.left == [("ours", True)]
    load(rule.replace("URL", classifier_server.url), counted)
    assert counted.left[-1] == ("ours", False)


def test_only_what_is_named_is_imported(classifier_server, tmp_path):
    """A classifier behind a server brings neither torch nor transformers; the shipped one no HTTP client either."""
    rules = {
        f"{{kind: http, api: tei, url: '{classifier_server.url}', labels: {{insult: X.spam}}}}": {
            "torch",
            "transformers",
        },
        "{kind: onnx}": {"torch", "transformers", "httpx", "huggingface_hub"},
    }
    for rule, unwanted in rules.items():
        code = (
            "import sys\nfrom gateway.classifier_loading import *\nfrom gateway.sources import PolicySource\n"
            f"body = {'classifier: ' + rule!r}\n"
            f"loader = ClassifierLoader(Settings(data_dir=Path({str(tmp_path)!r})))\n"
            "loader.load(Policy.parse_yaml(body), PolicySource(body, 'p', 'file'))\n"
            f"sys.exit(' '.join({unwanted!r} & set(sys.modules)) or 0)"
        )
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_an_ensemble_of_all(load, classifier_server, transformers_models):
    """Every kind can be a member, the shipped model too."""
    url = classifier_server.url
    rule = f"""kind: ensemble|members:|  - {{kind: onnx}}
    - {{kind: transformers, model: {transformers_models / "onnx"}, labels: {{insult: A4.a.bullying}}}}
    - {{kind: guard, format: qwen3guard, model: qwen, url: '{url}', optional: true}}
    - {{kind: http, api: tei, url: '{url}', labels: {{advert: X.spam}}}}"""
    one = load(rule)
    (scores,) = one.score([Segment("你是个坏蛋，赌场")])
    assert scores["A4.a.bullying"] > 0.5
    assert scores["A2.i"] == 1.0
    assert set(load_classifier().labels) < set(one.labels)
    assert one.calling.batch == 1
    assert "advert" in str(one.notes)
