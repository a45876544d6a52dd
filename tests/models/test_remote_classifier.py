import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.http_apis import OPENAI_LABELS, Chat, OpenAIModeration, Tei, Vllm
from models.label_map import LabelMap
from models.remote_classifier import RemoteClassifier
from models.server import NoObserver, Server, ServerError, ServerSettings
from models.types import ClassifierError, Segment

NAMES = ("fine", "insult", "advert")
LABELS = {"insult": ("A4.a.bullying",), "advert": ("X.spam",), "fine": ()}
APIS = {
    "vllm": (Vllm("m", NAMES), LABELS),
    "vllm by number": (Vllm(), {"1": ("A4.a.bullying",), "2": ("X.spam",)}),
    "tei": (Tei(), LABELS),
    "openai": (OpenAIModeration(), {"harassment": ("A4.a.bullying",), "illicit": ("X.spam",)}),
    "chat": (Chat("judge", NAMES), LABELS),
}


class Watching(NoObserver):
    """Keeps what it is told."""

    def __init__(self):
        self.outcomes = []
        self.changes = []

    def answered(self, name, outcome):
        """Keep it."""
        self.outcomes.append(outcome)

    def breaker(self, name, *, opened):
        """Keep it."""
        self.changes.append(opened)


@pytest.fixture
def ask(classifier_server):
    """Make classifiers that ask the test's server."""
    made = []

    def make(api="vllm", labels=None, batch=16, lenient=False, **more):
        settings = {"name": "test", "url": classifier_server.url, "timeout_s": 3.0, **more}
        watching = Watching()
        spoken, usual = APIS[api]
        server = Server(ServerSettings(**settings), watching)
        made.append(RemoteClassifier(server, spoken, LabelMap(labels or usual), batch=batch, lenient=lenient))
        return made[-1], watching

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("api", APIS)
def test_every_api(ask, api):
    """Each API gives the same verdicts, in the order of the texts, over real HTTP."""
    classifier, watching = ask(api)
    insult, advert, fine = classifier.score([Segment("你是个坏蛋"), Segment("赌场", "来，"), Segment("你好")])
    assert insult == {"A4.a.bullying": 0.95, "X.spam": 0.01}
    assert advert["X.spam"] == 0.96
    assert max(fine.values()) == 0.01
    assert set(watching.outcomes) == {"ok"}
    assert classifier.problems == ()
    assert set(classifier.labels) == {"A4.a.bullying", "X.spam"}


def test_what_is_sent(ask, classifier_server):
    """Context and text in one piece, several texts in one request, the key as a bearer; surrogates are replaced."""
    classifier, _ = ask("tei", key="sk-secret", batch=2)
    classifier.score([Segment("b", "a"), Segment("\ud800"), Segment("c")])
    first, second = classifier_server.seen
    assert first["body"]["inputs"] == [["ab"], ["\ufffd"]]
    assert second["body"]["inputs"] == [["c"]]
    assert first["key"] == "Bearer sk-secret"
    assert "sk-secret" not in repr(classifier._server.settings)


@pytest.mark.parametrize("end", ["", "/v1"])
def test_a_base_url_may_end_as_clients_have_it(ask, classifier_server, end):
    """Many write /v1 at its end, as official clients want it."""
    classifier, _ = ask("openai", url=classifier_server.url + end)
    assert classifier.score([Segment("坏")])[0]["A4.a.bullying"] == 0.95
    assert classifier_server.seen[0]["path"] == "/v1/moderations"


def test_openais_names_by_default(ask):
    """The shipped map fits what an OpenAI-shaped server answers, as far as it has the names; what it lacks is told."""
    classifier, _ = ask("openai", OPENAI_LABELS, lenient=True)
    (scores,) = classifier.score([Segment("坏")])
    assert scores["A4.a.bullying"] == 0.95
    assert scores["A1.f.csae"] == 0.0
    assert "map: harassment/threatening, hate, hate/threatening, " in classifier.notes[0]
    assert "sexual/minors" in classifier.notes[0]
    other, _ = ask("tei", OPENAI_LABELS, lenient=True)
    with pytest.raises(ClassifierError, match="has no label 'harassment'"):
        other.score([Segment("坏")])
    strict, _ = ask("openai", OPENAI_LABELS)
    with pytest.raises(ClassifierError, match="has no label"):
        strict.score([Segment("坏")])


@pytest.mark.parametrize("mode", ["nan", "prose", "empty", "object", "flood", "packed"])
@pytest.mark.parametrize("api", APIS)
def test_garbage_is_an_error(ask, classifier_server, api, mode):
    """Whatever a server answers that is no answer: an error, counted as such; the breaker stays closed."""
    classifier_server.behave(mode)
    classifier, watching = ask(api, failures=1)
    for _ in range(2):
        with pytest.raises(ClassifierError):
            classifier.score([Segment("你好")])
    assert watching.outcomes == ["invalid"] * 2
    assert watching.changes == []


@pytest.mark.parametrize(
    "url",
    [
        "http://a..b",
        "http://\u2025",
        "http://x.y\t",
        "http://x y",
        "http://xn--a",
        f"http://{'a' * 64}.com",
        "http://x/\a",
    ],
)
def test_a_url_that_no_request_can_go_to(url):
    """It is told when the policy is read, with the key that is wrong, and not as a crash over the first text."""
    with pytest.raises(ClassifierError, match="this URL") as caught:
        Server(ServerSettings(name="x", url=url))
    assert caught.value.place == ("url",)


@pytest.mark.parametrize("key", ["sk-秘", "sk-1\nsk-2", "a b", "\x01"])
def test_a_key_that_no_header_can_carry(key):
    """It is told without being quoted."""
    with pytest.raises(ClassifierError, match="its key") as caught:
        Server(ServerSettings(name="x", url="http://127.0.0.1:1", key=key))
    assert caught.value.place == ("key",)
    assert key not in str(caught.value)


def test_a_score_that_overflowed_is_the_texts_own_failure(ask, classifier_server):
    """Where a server makes NaN or null of it, others in the batch are asked again, and the server is well."""
    one, _ = ask()
    classifier_server.behave("nan")
    with pytest.raises(ClassifierError, match="no number") as caught:
        one.score([Segment("a")])
    assert caught.value.of_text
    assert one.problems == ()
    lenient, _ = ask("openai", OPENAI_LABELS, lenient=True)
    answers = [{"results": [{"category_scores": {"harassment": score, "illicit": 0.1}}]} for score in (0.9, None)]
    assert lenient._read(answers[1], 1)[0]["A4.a.bullying"] == 0.0, "it never scored that"
    assert lenient._read(answers[0], 1)[0]["A4.a.bullying"] == 0.9
    with pytest.raises(ClassifierError, match="'harassment', which it scored before") as caught:
        lenient._read(answers[1], 1)
    assert caught.value.of_text


def test_whether_labels_exclude_each_other_is_not_up_to_a_text(ask):
    """Once scores did not add up to one, those of another text that happen to are not added up either."""
    one, _ = ask("tei", {"insult": ("A4.a.bullying",), "threat": ("A4.a.bullying",)})

    def read(insult, threat):
        row = [{"label": "insult", "score": insult}, {"label": "threat", "score": threat}]
        return one._read([row], 1)[0]["A4.a.bullying"]

    assert read(0.4, 0.6) == 1.0
    with pytest.raises(ClassifierError):
        read(None, 0.6)
    assert read(0.4, 0.6) == 1.0, "what is no answer says nothing of the labels"
    assert read(0.1, 0.1) == 0.1
    assert read(0.4, 0.6) == 0.6


def test_a_label_that_the_server_does_not_have(ask):
    """The error names the label and what there is; it lasts, so readiness tells it."""
    classifier, _ = ask("tei", {"insults": ("A4.a.bullying",)})
    with pytest.raises(ClassifierError, match="did you mean 'insult'") as caught:
        classifier.try_now()
    assert caught.value.place == ("labels", "insults")
    (problem,) = classifier.problems
    assert "insults" in problem


def test_what_counts_for_nothing_is_told(ask):
    """Once the server has shown its labels, those without a code are told."""
    classifier, _ = ask("tei", {"insult": ("A4.a.bullying",)})
    assert classifier.notes == []
    classifier.try_now()
    assert classifier.notes[0].endswith(": fine, advert") or classifier.notes[0].endswith(": advert, fine")


def test_a_connection_that_breaks_is_tried_again(ask, classifier_server):
    """Asking twice changes nothing on the server, so one break is no failure."""
    classifier_server.behave("drop once")
    classifier, watching = ask()
    assert classifier.score([Segment("坏")])[0]["A4.a.bullying"] == 0.95
    assert watching.outcomes == ["retried", "ok"]


@pytest.mark.parametrize("status", [503, 429, 500, 400, 401, 403, 404, 413, 422, 307])
def test_statuses(ask, classifier_server, status):
    """What may pass is tried again, what will not is told as a problem, and no error quotes the text."""
    classifier_server.behave("status", status=status)
    classifier, watching = ask()
    with pytest.raises(ServerError, match=str(status)) as caught:
        classifier.score([Segment("很长很私密的话")])
    assert "私密" not in str(caught.value)
    busy = status in {503, 429}
    assert caught.value.outcome == watching.outcomes[-1] == ("busy" if busy else "status")
    assert len(classifier_server.seen) == (2 if busy else 1)
    assert bool(classifier.problems) == (status in {401, 403, 404, 307})


@pytest.mark.parametrize("mode", ["slow", "trickle"])
def test_a_slow_server_ends_at_the_deadline(ask, classifier_server, mode):
    """The deadline holds for everything together, and what ran out of time is not asked again."""
    classifier_server.behave(mode, seconds=5)
    classifier, watching = ask(timeout_s=0.3, retries=3)
    began = time.monotonic()
    with pytest.raises(ServerError, match=r"within 0\.3 s"):
        classifier.score([Segment("你好")])
    assert time.monotonic() - began < 1.5
    assert watching.outcomes == ["timeout"]


def test_the_breaker_opens_and_closes(ask, classifier_server):
    """A server that is away is left alone after failures in a row, tried after the pause, and used again."""
    classifier, watching = ask(failures=2, cooldown_s=4.0, retries=0)
    classifier_server.stop()
    for _ in range(2):
        with pytest.raises(ServerError, match="cannot be reached"):
            classifier.score([Segment("你好")])
    with pytest.raises(ServerError, match="left alone"):
        classifier.score([Segment("你好")])
    assert watching.outcomes == ["unreachable", "unreachable", "open"]
    assert "cannot be reached" in classifier.problems[0]
    assert "127.0.0.1" not in classifier.problems[0], "who may ask for readiness need not know where it is"
    classifier_server.start()
    classifier.probe()
    assert classifier.problems, "nobody tries before the pause is over"
    time.sleep(4.0)
    classifier.probe()
    assert classifier.problems == ()
    assert watching.changes == [True, False]
    assert classifier.score([Segment("坏")])[0]["A4.a.bullying"] == 0.95


def test_a_server_that_is_away_at_first_is_no_mistake(ask, classifier_server):
    """Only an answer can show that the policy is wrong."""
    classifier, _ = ask()
    classifier_server.stop()
    classifier.try_now()


def test_no_more_requests_at_once_than_allowed(ask, classifier_server):
    """The others wait for their turn, and are late where it does not come."""
    classifier_server.behave("slow", seconds=0.1)
    classifier, watching = ask(concurrency=1, timeout_s=20.0)
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: classifier.score([Segment("你好")]), range(5)))
    assert [seen["beside"] for seen in classifier_server.seen] == [0] * 5
    assert watching.outcomes == ["ok"] * 5
    classifier_server.behave("slow", seconds=1.0)
    late, watching = ask(concurrency=1, timeout_s=0.3)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(late.score, [Segment("你好")]) for _ in range(3)]
    assert all(isinstance(one.exception(), ClassifierError) for one in asked)
    assert set(watching.outcomes) == {"timeout"}


def test_many_threads(ask):
    """Scores from many threads at once are those of their own texts."""
    classifier, _ = ask(concurrency=4, timeout_s=20.0)
    wrong = []

    def score(number):
        text = "坏" if number % 2 else "好"
        if (classifier.score([Segment(text)])[0]["A4.a.bullying"] > 0.5) != bool(number % 2):
            wrong.append(number)

    threads = [threading.Thread(target=score, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_closed_classifier_says_so(ask):
    """After another policy took over, a late question is an error like every other."""
    classifier, _ = ask()
    classifier.close()
    with pytest.raises(ClassifierError, match="not used any more"):
        classifier.score([Segment("你好")])


def test_the_version_is_that_of_the_configuration(ask):
    """Another map or API is another version; the key and the timeouts are not part of it."""
    assert ask()[0].version == ask(key="sk-x", timeout_s=9.0)[0].version
    assert len({ask()[0].version, ask("tei")[0].version, ask("tei", {"insult": ("X.spam",)})[0].version}) == 3
