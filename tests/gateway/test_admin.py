"""The control plane over a real socket, with a real store, moderator and keys."""

import asyncio
import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
import uvicorn

from gateway.admin import create_app
from gateway.auth import Authenticator
from gateway.classifier_loading import ClassifierLoader
from gateway.moderator import Moderator
from gateway.settings import Settings
from gateway.store import ViolationFilter
from gateway.store.records import FIELDS

ADMIN = "the first admin key"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Running:
    """A control plane in a thread of its own."""

    def __init__(self, store, policy=None):
        self.store = store
        self.policy = policy
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self):
        moderator = self.moderator = Moderator(self.store, policy=self.policy, base_lexicon="none")
        await moderator.start()
        app = create_app(
            store=self.store,
            authenticator=Authenticator(self.store, ADMIN),
            moderator=moderator,
            settings=SimpleNamespace(policy=self.policy),
            render_metrics=lambda: b"sluice_up 1\n",
        )
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._started.set()
        await self._server.serve([self.socket])
        await moderator.close()

    def __enter__(self):
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join(20)
        self.socket.close()

    def client(self, key=ADMIN, **options):
        """A client with a key."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, **options)


@pytest.fixture
def plane(sqlite_store):
    """A control plane on SQLite without any file."""
    with Running(sqlite_store) as running:
        yield running


@pytest.fixture
def api(plane):
    """A client with the admin key."""
    with plane.client() as client:
        yield client


def error(answer):
    """The error object of an answer."""
    return answer.json()["error"]


# --- keys -------------------------------------------------------------------------------------------------------------

READS = ["/api/v1/violations", "/api/v1/violations/x", "/api/v1/policy", "/api/v1/lexicon/terms"]
READS += ["/api/v1/lexicon/coverage", "/api/v1/violations/stream", "/api/v1/policy/history"]
READS += ["/api/v1/lexicon/history", "/api/v1/lexicon/history/1", "/api/v1/lexicon/proposals"]


@pytest.mark.parametrize("key", [None, "wrong", "slk_wrong", ADMIN + "x"])
def test_no_entry_without_key(plane, key):
    """Without a key in force nothing is told, and the answer says what to send."""
    with plane.client(key) as client:
        for path in READS:
            answer = client.get(path)
            assert (path, answer.status_code) == (path, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "Bearer" in error(answer)["message"]


def test_scopes(plane, sqlite_store, violation):
    """A key may do what its scope says and what weaker scopes may, nothing more; a revoked one nothing."""
    item = violation()
    sqlite_store.violations.insert_many([item])
    record, reader = sqlite_store.keys.create("read", "r")
    _, reviewer = sqlite_store.keys.create("review", "v")
    review = {"verdict": "confirmed"}
    for key, read, reviewed, put in ((reader, 200, 403, 403), (reviewer, 200, 200, 403), (ADMIN, 200, 200, 200)):
        with plane.client(key) as client:
            assert client.get("/api/v1/violations").status_code == read
            assert client.post(f"/api/v1/violations/{item.id}/review", json=review).status_code == reviewed
            assert client.put("/api/v1/policy", content="version: 1\n").status_code == put
            assert client.post("/api/v1/lexicon/terms", json={"term": "x", "category": "A1.d"}).status_code == (
                201 if put == 200 else 403
            )
    sqlite_store.keys.revoke(record.id)
    with plane.client(reader) as client:
        assert client.get("/api/v1/violations").status_code == 401


def test_open_doors(plane):
    """Health and metrics need no key; they tell nothing of anybody."""
    assert httpx.get(plane.url + "/healthz").text == "ok\n"
    metrics = httpx.get(plane.url + "/metrics")
    assert metrics.text == "sluice_up 1\n"
    assert metrics.headers["content-type"].startswith("text/plain; version=")


# --- violations -------------------------------------------------------------------------------------------------------


def test_list_and_get(api, sqlite_store, violation):
    """The list has exactly the contract's fields, newest first, and pages by cursor."""
    items = [violation(created_at=NOON + timedelta(seconds=at)) for at in range(5)]
    sqlite_store.violations.insert_many(items)
    first = api.get("/api/v1/violations", params={"limit": 3}).json()
    assert [item["id"] for item in first["items"]] == [item.id for item in items[:1:-1]]
    assert tuple(first["items"][0]) == FIELDS
    assert first["items"][0]["created_at"] == "2026-11-22T12:00:04.000000Z"
    assert first["items"][0] == json.loads(json.dumps(items[4].as_json()))
    second = api.get("/api/v1/violations", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in second["items"]] == [items[1].id, items[0].id]
    assert second["next_cursor"] is None
    assert api.get(f"/api/v1/violations/{items[0].id}").json() == items[0].as_json()


def test_filters(api, sqlite_store, violation):
    """Every parameter of the contract filters."""
    one = violation(
        created_at=NOON,
        direction="input",
        action="mask",
        subject="sub_1",
        categories={"A1.h.gambling": 1.0},
        model="qq",
    )
    other = violation(created_at=NOON + timedelta(hours=1), status="confirmed")
    sqlite_store.violations.insert_many([one, other])
    for parameters in (
        {"until": "2026-11-22T12:30:00Z"},
        {"until": "2026-11-22T20:30:00+08:00"},
        {"category": "A1.h.gambling"},
        {"action": "mask"},
        {"direction": "input"},
        {"status": "open"},
        {"subject": "sub_1"},
        {"q": "QQ"},
    ):
        items = api.get("/api/v1/violations", params=parameters).json()["items"]
        assert [item["id"] for item in items] == [one.id], parameters
    assert len(api.get("/api/v1/violations", params={"since": "2026-11-22", "category": "A1"}).json()["items"]) == 2


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"since": "yesterday"}, "since"),
        ({"category": "A1.h.gamblin"}, "A1.h.gambling"),
        ({"action": "allow"}, "'flag', 'mask' or 'block'"),
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "nonsense"}, "next_cursor"),
        ({"catgory": "A1"}, "catgory: there is no such parameter"),
    ],
)
def test_wrong_filters(api, parameters, says):
    """A wrong filter is an error that names it, never a list of everything."""
    answer = api.get("/api/v1/violations", params=parameters)
    assert answer.status_code == 400
    assert says in error(answer)["message"]


def test_review(api, sqlite_store, violation):
    """A verdict is kept with its author; a wrong one and an unknown violation are told apart."""
    item = violation()
    sqlite_store.violations.insert_many([item])
    done = api.post(f"/api/v1/violations/{item.id}/review", json={"verdict": "false_positive", "note": "误报"})
    assert (done.status_code, done.json()["status"]) == (200, "false_positive")
    assert sqlite_store.audit.latest()[0].target == item.id
    wrong = api.post(f"/api/v1/violations/{item.id}/review", json={"verdict": "maybe"})
    assert (wrong.status_code, error(wrong)["param"]) == (400, "verdict")
    absent = api.post("/api/v1/violations/none/review", json={"verdict": "confirmed"})
    assert (absent.status_code, error(absent)["code"]) == (404, "not_found")
    assert api.post(f"/api/v1/violations/{item.id}/review", content="{").status_code == 400


def read_events(client, count, headers=None, opened=lambda: None):
    """The next events of the feed, as (id, record); ``opened`` is called when the feed has begun."""
    events = []
    with client.stream("GET", "/api/v1/violations/stream", headers=headers or {}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        opened()
        at = None
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                at = value
            elif name == "data":
                events.append((at, json.loads(value)))
                if len(events) == count:
                    break
    return events


def test_stream_resumes(plane, sqlite_store, violation):
    """The feed gives what is committed after it was opened, and after a break exactly what was missed."""
    sqlite_store.violations.insert_many([violation()])
    before = sqlite_store.violations.position()
    items = [violation() for _ in range(4)]
    with plane.client() as client:
        seen = read_events(client, 2, opened=lambda: sqlite_store.violations.insert_many(items[:2]))
        assert [record["id"] for _, record in seen] == [item.id for item in items[:2]]
        sqlite_store.violations.insert_many(items[2:])
        missed = read_events(client, 2, {"last-event-id": seen[-1][0]})
        assert [record["id"] for _, record in missed] == [item.id for item in items[2:]]
        again = read_events(client, 4, {"last-event-id": str(before)})
        assert [record["id"] for _, record in again] == [item.id for item in items]
        assert client.get("/api/v1/violations/stream", headers={"last-event-id": "x"}).status_code == 400


def test_store_away(plane, api, sqlite_store, tmp_path):
    """While the store is away the API says so with 503, and the first key still tells who asks."""
    sqlite_store.close()
    for name in ("sluice.db", "sluice.db-wal", "sluice.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    answer = api.get("/api/v1/violations")
    assert (answer.status_code, error(answer)["code"]) == (503, "store_unavailable")


# --- policy and lexicon -----------------------------------------------------------------------------------------------


def test_policy_round_trip(api, sqlite_store):
    """A policy that is put is in force on return, as it was written, with its history."""
    before = api.get("/api/v1/policy").json()
    assert before["origin"] == "shipped"
    text = "version: 1\nmode: monitor  # for now\ncategories:\n  A1.h.gambling: {action: flag}\n"
    put = api.put("/api/v1/policy", content=text, headers={"content-type": "application/yaml"})
    assert put.status_code == 200
    after = api.get("/api/v1/policy").json()
    assert (after["yaml"], after["origin"], after["policy"]["mode"]) == (text, "store", "monitor")
    assert after["ruleset"] == put.json()["ruleset"] != before["ruleset"]
    assert after["version"] == put.json()["version"] != before["version"]
    again = api.put("/api/v1/policy", json={"yaml": before["yaml"]}).json()
    assert again["ruleset"] == before["ruleset"]
    assert api.put("/api/v1/policy", json={"version": 1, "mode": "monitor"}).status_code == 200
    history = api.get("/api/v1/policy/history").json()["items"]
    assert [item["active"] for item in history] == [True, False, False]
    assert history[2]["yaml"] == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mode: enforc\n", "policy:1: mode: must be"),
        ("version: 1\ncategories:\n  A1.x: {action: block}\n", "policy:3"),
        ("mode: [", "policy:1"),
        ("", "empty"),
        ('{"yaml": 5}', "yaml"),
        ("version: 9\n", "version"),
        (b"\xff\xfe", "UTF-8"),
        ("#" * 1_100_000, "longer"),
    ],
)
def test_wrong_policy(api, text, says):
    """A policy that cannot be used is refused with its line, and the running one stays."""
    before = api.get("/api/v1/policy").json()
    answer = api.put("/api/v1/policy", content=text)
    assert answer.status_code in {400, 413}
    assert says in error(answer)["message"]
    assert api.get("/api/v1/policy").json() == before


def test_a_policy_whose_classifier_cannot_be_used(plane, api, monkeypatch):
    """It is tried before it is stored, and refused with its line; one that can be used is loaded once."""
    text = "classifier:\n  kind: transformers\n  model: ./nowhere\n  labels: {a: X.spam}\n"
    loader = ClassifierLoader(Settings(classifier="none"))
    monkeypatch.setattr(plane.moderator, "_load_classifier", loader.load)
    before = api.get("/api/v1/policy").json()
    answer = api.put("/api/v1/policy", content=text)
    assert answer.status_code == 400
    assert "policy:3: classifier.model: ./nowhere is no folder" in error(answer)["message"]
    assert api.get("/api/v1/policy").json() == before
    assert api.put("/api/v1/policy", content="classifier: {model: shipped}\n").is_success
    assert api.get("/api/v1/policy").json()["policy"]["classifier"]["kind"] == "onnx"
    assert api.get("/api/v1/policy").json()["problems"] == []


def test_terms(api, plane):
    """Terms are added one by one, as a list or as a file, listed with filters, and deleted by id."""
    one = api.post("/api/v1/lexicon/terms", json={"term": "冰毒", "category": "A1.h.drugs", "unless": ["冰毒检测"]})
    assert one.status_code == 201
    assert one.json()["term"]["unless"] == ["冰毒检测"]
    many = [{"term": f"词{at}", "category": "A1.h.gambling", "action": "flag"} for at in range(3)]
    assert api.post("/api/v1/lexicon/terms", json=many).json()["added"] == 3
    csv = "term,category,with,within\n炸药,A1.h.weapons_cbrne,制作;购买,5\n"
    assert api.post("/api/v1/lexicon/terms", content=csv, headers={"content-type": "text/csv"}).status_code == 201
    listed = api.get("/api/v1/lexicon/terms", params={"limit": 4}).json()
    rest = api.get("/api/v1/lexicon/terms", params={"cursor": listed["next_cursor"]}).json()["items"]
    assert [item["term"] for item in listed["items"] + rest] == ["冰毒", "词0", "词1", "词2", "炸药"]
    assert rest[0]["with"] == ["制作", "购买"]
    assert rest[0]["within"] == 5
    assert len(api.get("/api/v1/lexicon/terms", params={"category": "A1.h"}).json()["items"]) == 5
    assert [t["term"] for t in api.get("/api/v1/lexicon/terms", params={"q": "冰"}).json()["items"]] == ["冰毒"]
    coverage = api.get("/api/v1/lexicon/coverage").json()
    assert coverage["imported"] == 5
    assert "A1.a" in coverage["empty"]
    assert (coverage["wanted"], coverage["days_since_change"], coverage["up_to_date"]) == (10_000, 0, True)
    of_kind = {item["code"]: item for item in coverage["items"]}
    assert of_kind["A1.h"]["missing"] == 200 - of_kind["A1.h"]["active_below"]
    assert of_kind["A3.a"]["wanted"] is None
    assert api.delete(f"/api/v1/lexicon/terms/{one.json()['term']['id']}").status_code == 200
    assert api.delete("/api/v1/lexicon/terms/none").status_code == 404
    assert plane.store.terms.count() == 4


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ('{"term": "x", "category": "A9"}', "application/json", "A9"),
        ('[{"term": "好词", "category": "A1.d"}, {"term": "", "category": "A1.d"}]', "application/json", "term 1"),
        ("[]", "application/json", "list"),
        ("term,category\n", "application/json", "text/csv"),
        ("term,category\n好词,A1.d\n词\n", "text/csv", "body:3"),
        ('{"term": "好词", "category": "A1.d"}\n{', "application/x-ndjson", "body:2"),
        ("[5]", "application/json", "term 0"),
        ('{"term": "好词", "category": "A1.d", "needs": "model"}', "application/json", "unknown needs 'model'"),
    ],
)
def test_wrong_terms(api, plane, body, kind, says):
    """A list with one wrong term is refused whole, naming the place."""
    answer = api.post("/api/v1/lexicon/terms", content=body.encode(), headers={"content-type": kind})
    assert answer.status_code == 400
    assert says in error(answer)["message"]
    assert plane.store.terms.count() == 0


# --- proposals and history --------------------------------------------------------------------------------------------

PROPOSALS = "/api/v1/lexicon/proposals"
_JSON = {"content-type": "application/json"}
PROPOSED = {"terms": [{"term": "诚招样例代理", "category": "A1.d", "expires": "2099-12-31"}], "note": "tonight"}


def _person(plane, scope, name):
    return plane.client(plane.store.keys.create(scope, name)[1])


def test_a_proposal_needs_a_second_person(plane, api):
    """Nobody approves their own proposal, the first admin key neither; with a second person it goes live."""
    with _person(plane, "review", "li") as li, _person(plane, "review", "wang") as wang:
        made = li.post(PROPOSALS, json=PROPOSED)
        assert (made.status_code, made.json()["state"], made.json()["author"]) == (201, "proposed", "li")
        one = f"{PROPOSALS}/{made.json()['id']}"
        refused = li.post(f"{one}/approve")
        assert (refused.status_code, error(refused)["code"]) == (403, "second_person")
        assert li.post(f"{one}/try").status_code == 409
        assert wang.post(f"{one}/approve", json={"note": "yes"}).json()["state"] == "approved"
        assert error(wang.post(f"{one}/approve"))["code"] == "wrong_state"
        tried = li.post(f"{one}/try", json={"texts": ["平常的话"]}).json()
        assert (tried["state"], tried["hits"], tried["trial"]["own_texts"]) == ("tried", 0, 1)
        assert wang.post(f"{one}/activate").status_code == 403
        assert plane.store.terms.count() == 0
        before = api.get("/api/v1/policy").json()["ruleset"]
        live = api.post(f"{one}/activate").json()
        assert [step["by"] for step in live["steps"]] == ["li", "wang", "li", "first admin key"]
        assert api.get("/api/v1/policy").json()["ruleset"] != before
        assert li.get(PROPOSALS, params={"state": "live"}).json()["items"][0]["id"] == live["id"]
    own = api.post(PROPOSALS, json=PROPOSED).json()["id"]
    assert error(api.post(f"{PROPOSALS}/{own}/approve"))["code"] == "second_person"
    assert [entry.action for entry in plane.store.audit.latest(4)] == [
        "proposal.propose", "proposal.activate", "proposal.try", "proposal.approve"
    ]  # fmt: skip


def test_proposals_are_read_by_readers_and_made_by_reviewers(plane):
    """A key that may only read sees proposals and takes no part in them."""
    with _person(plane, "review", "li") as li, _person(plane, "read", "gu") as gu:
        one = f"{PROPOSALS}/{li.post(PROPOSALS, json=PROPOSED).json()['id']}"
        assert gu.get(one).json()["terms"][0]["expires"] == "2099-12-31"
        for path in (PROPOSALS, f"{one}/approve", f"{one}/try", f"{one}/reject", f"{one}/activate"):
            assert error(gu.post(path, json=PROPOSED if path == PROPOSALS else {}))["code"] == "insufficient_scope"
        assert gu.post("/api/v1/lexicon/undo").status_code == 403
        assert li.post("/api/v1/lexicon/undo").status_code == 403


def test_a_context_term_goes_through_the_api(plane, api):
    """What a term needs is taken, listed, proposed and told; without a classifier coverage names its category."""
    term = {"term": "样例毒品", "category": "A1.h.drugs", "needs": "classifier"}
    assert api.post("/api/v1/lexicon/terms", json=term).json()["term"]["needs"] == "classifier"
    assert api.get("/api/v1/lexicon/terms").json()["items"][0]["needs"] == "classifier"
    assert api.get("/api/v1/lexicon/coverage").json()["unscored"] == ["A1.h.drugs"]
    with _person(plane, "review", "li") as li:
        made = li.post(PROPOSALS, json={"terms": [term | {"term": "样例冰毒"}]}).json()
    assert made["terms"][0]["needs"] == "classifier"
    api.post(f"{PROPOSALS}/{made['id']}/approve")
    assert api.post(f"{PROPOSALS}/{made['id']}/try", json={"texts": ["一种样例冰毒"]}).json()["hits"] == 1


def test_hits_in_ordinary_text_are_shown_and_stop_a_proposal(plane, api):
    """The trial's answer has each term's hits with examples; going live in spite of them has to be said."""
    with _person(plane, "review", "li") as li:
        one = f"{PROPOSALS}/{li.post(PROPOSALS, json={'terms': [{'term': '天气', 'category': 'A1.d'}]}).json()['id']}"
        api.post(f"{one}/approve")
        tried = li.post(f"{one}/try", json={"texts": ["那里天气不错"]}).json()
        found = tried["trial"]["terms"][0]
        assert found["hits"] >= found["texts"] >= 1
        assert all("【天气】" in example for example in found["examples"])
    refused = api.post(f"{one}/activate")
    assert (refused.status_code, error(refused)["code"]) == (409, "trial_has_hits")
    assert api.post(f"{one}/activate", json={"anyway": True}).json()["steps"][-1]["anyway"] == tried["hits"]


def test_bad_proposals(api):
    """A proposal with one wrong term is refused whole; what is not there is 404; unknown keys are errors."""
    wrong = {"terms": [{"term": "词", "category": "A1.d"}, {"term": "词", "category": "A1.d", "expires": "soon"}]}
    answer = api.post(PROPOSALS, json=wrong)
    assert (answer.status_code, error(answer)["code"]) == (400, "invalid_lexicon")
    assert "term 1: expires" in error(answer)["message"]
    assert api.post(PROPOSALS, json={"terms": []}).status_code == 400
    assert api.post(PROPOSALS, json=PROPOSED | {"live": True}).status_code == 400
    for path in ("approve", "try", "activate", "reject"):
        assert api.post(f"{PROPOSALS}/none/{path}").status_code == 404


def test_a_body_that_never_ends_is_not_kept(plane, monkeypatch):
    """Nobody, without a key least of all, makes the control plane hold more than its limit of a body."""
    monkeypatch.setattr("gateway.admin.app.MAX_BODY", 100_000)
    whole = json.dumps(PROPOSED).encode()
    with plane.client() as client:
        for padding, statuses in ((50_000, {201}), (500_000, {400, 413})):
            pieces = [b" " * 10_000] * (padding // 10_000)
            assert client.post(PROPOSALS, content=iter([*pieces, whole]), headers=_JSON).status_code in statuses
    with plane.client(None) as client:
        assert client.post(PROPOSALS, content=iter([b" " * 10_000] * 50), headers=_JSON).status_code in {400, 413}


def test_history_and_undo(plane, api):
    """Every change of the API is in the history with who and what; undo restores the terms, and is in it too."""
    terms = "/api/v1/lexicon/terms"
    added = api.post(terms, json={"term": "样例词", "category": "A1.d"}).json()["term"]
    before, ruleset = api.get(terms).json(), api.get("/api/v1/policy").json()["ruleset"]
    api.delete(f"{terms}/{added['id']}")
    told = api.get("/api/v1/lexicon/history").json()
    assert [(item["number"], item["actor"], item["action"]) for item in told["items"]] == [
        (2, "first admin key", "delete"), (1, "first admin key", "add")
    ]  # fmt: skip
    removed = api.get("/api/v1/lexicon/history/2").json()["terms"]["removed"]
    assert [term["term"] for term in removed] == ["样例词"]
    refused = api.post("/api/v1/lexicon/undo", json={"number": 1})
    assert (refused.status_code, error(refused)["code"]) == (409, "not_the_last")
    undone = api.post("/api/v1/lexicon/undo", json={"number": 2}).json()
    assert (undone["number"], undone["undoes"], undone["added"]) == (3, 2, 1)
    assert api.get(terms).json() == before
    assert api.get("/api/v1/policy").json()["ruleset"] == ruleset
    assert api.get("/api/v1/lexicon/history", params={"limit": 2}).json()["next_before"] == 2
    assert api.get("/api/v1/lexicon/history/9").status_code == 404
    assert plane.store.audit.latest(1)[0].action == "lexicon.undo"


def test_an_expired_term_shows_as_such(api):
    """A term that expired stays in the list, says so, and does not count."""
    items = [{"term": f"样例{at}", "category": "A1.d", "expires": at} for at in ("2020-01-01", "2099-01-01")]
    api.post("/api/v1/lexicon/terms", json=items)
    listed = {item["expires"]: item["expired"] for item in api.get("/api/v1/lexicon/terms").json()["items"]}
    assert listed == {"2020-01-01": True, "2099-01-01": False}
    coverage = api.get("/api/v1/lexicon/coverage").json()
    assert (coverage["imported"], coverage["active"]) == (2, 1)


def test_openapi_names_every_endpoint(api):
    """The OpenAPI document is there and lists each endpoint of the contract with its filters."""
    document = api.get("/api/v1/openapi.json").json()
    paths = document["paths"]
    assert set(paths) == {
        "/api/v1/violations",
        "/api/v1/violations/stream",
        "/api/v1/violations/{violation_id}",
        "/api/v1/violations/{violation_id}/review",
        "/api/v1/policy",
        "/api/v1/policy/history",
        "/api/v1/lexicon/terms",
        "/api/v1/lexicon/terms/{term_id}",
        "/api/v1/lexicon/coverage",
        "/api/v1/lexicon/history",
        "/api/v1/lexicon/history/{number}",
        "/api/v1/lexicon/undo",
        "/api/v1/lexicon/proposals",
        "/api/v1/lexicon/proposals/{proposal_id}",
        "/api/v1/lexicon/proposals/{proposal_id}/approve",
        "/api/v1/lexicon/proposals/{proposal_id}/try",
        "/api/v1/lexicon/proposals/{proposal_id}/activate",
        "/api/v1/lexicon/proposals/{proposal_id}/reject",
    }
    named = {parameter["name"] for parameter in paths["/api/v1/violations"]["get"]["parameters"]}
    assert named == {"since", "until", "category", "action", "direction", "status", "subject", "q", "limit", "cursor"}
    assert set(document["components"]["schemas"]["Violation"]["properties"]) == set(FIELDS)


def test_unknown_path(api):
    """What does not exist is answered in the same shape."""
    assert (api.get("/api/v1/nothing").status_code, error(api.get("/api/v1/nothing"))["code"]) == (404, "not_found")
    assert api.post("/api/v1/violations").status_code == 405


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(plane):
    """A browser that follows redirects and keeps cookies."""
    with httpx.Client(base_url=plane.url, follow_redirects=True, headers={"accept-language": "zh-CN"}) as client:
        yield client


def test_sign_in_and_out(browser):
    """Without a session every page asks for the key; a wrong one is refused, a right one lets in until signing out."""
    assert browser.get("/").url.path == "/login"
    wrong = browser.post("/login", data={"key": "nonsense"})
    assert wrong.status_code == 403
    assert "密钥无效" in wrong.text
    page = browser.post("/login", data={"key": ADMIN})
    assert (page.url.path, page.status_code) == ("/", 200)
    assert ADMIN not in page.text
    assert ADMIN not in str(browser.cookies)
    cookie = next(h for h in page.history[0].headers.get_list("set-cookie") if h.startswith("sluice_session"))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert browser.post("/logout", data={"token": "forged"}).status_code == 403
    token = page.text.split('name="token" value="')[1].split('"')[0]
    assert browser.post("/logout", data={"token": token}).url.path == "/login"
    assert browser.get("/").url.path == "/login"


def test_page_lists_and_escapes(browser, sqlite_store, violation):
    """The page shows the latest violations, filtered by the address, in two languages, and runs nothing of them."""
    nasty = violation(excerpt="<script>alert(1)</script>", subject='"><img src=x>', direction="input")
    sqlite_store.violations.insert_many([nasty, violation(excerpt="另一条记录")])
    page = browser.post("/login", data={"key": ADMIN})
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in page.text
    assert "<img" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "另一条记录" in page.text
    filtered = browser.get("/", params={"direction": "input", "lang": "en"})
    assert "另一条记录" not in filtered.text
    assert "Violations" in filtered.text
    assert "Violations" in browser.get("/").text
    wrong = browser.get("/", params={"since": "yesterday"})
    assert (wrong.status_code, "since" in wrong.text) == (400, True)


def test_page_says_how(browser, sqlite_store, violation):
    """The page of a violation names the kinds of disguise; records of before there were any have none."""
    old = violation()
    how = [{"kind": "traditional"}, {"kind": "of a later version"}]
    new = violation(matches=[{**old.matches[0], "how": how}])
    sqlite_store.violations.insert_many([old, new])
    browser.post("/login", data={"key": ADMIN})
    assert "繁体, of a later version" in browser.get(f"/violations/{new.id}").text
    assert browser.get(f"/violations/{old.id}").status_code == 200
    feed = browser.get("/api/v1/violations").json()["items"]
    assert [item["matches"][0].get("how") for item in feed] in ([how, None], [None, how])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_page_of_a_violation_is_in_words(browser, sqlite_store, violation, language):
    """A violation's page shows no field's name and no Python value, but labels and words in the reader's language."""
    item = violation(categories={"A1.h.drugs": 0.97})
    sqlite_store.violations.insert_many([item])
    browser.post("/login", data={"key": ADMIN})
    shown = browser.get(f"/violations/{item.id}", params={"lang": language}).text
    for raw in (">False<", ">True<", ">None<", "{", *(f"<dt>{name}</dt>" for name in FIELDS if "_" in name)):
        assert raw not in shown, raw
    for word in {"zh": ("已送达字符数", "关键词", "毒品 0.970"), "en": ("characters delivered", ">no<")}[language]:
        assert word in shown


def test_pages_say_that_on_error_decided(browser, sqlite_store, violation):
    """What could not be judged is shown as the policy's on_error, not as a violation whose text was erased."""
    item = violation(excerpt=None, categories={}, matches=(), degraded=True)
    sqlite_store.violations.insert_many([item])
    for shown in (browser.post("/login", data={"key": ADMIN}), browser.get(f"/violations/{item.id}")):
        assert "未能判定，由策略的 on_error 决定" in shown.text
        assert "内容不可用" not in shown.text


def test_page_reviews(browser, sqlite_store, violation):
    """A verdict is given by a plain form, which must be ours."""
    item = violation()
    sqlite_store.violations.insert_many([item])
    browser.post("/login", data={"key": ADMIN})
    page = browser.get(f"/violations/{item.id}")
    assert "炸药" in page.text
    token = page.text.split('name="token" value="')[1].split('"')[0]
    forged = browser.post(f"/violations/{item.id}/review", data={"verdict": "confirmed", "token": "forged"})
    assert forged.status_code == 403
    assert sqlite_store.violations.count(ViolationFilter(status="open")) == 1
    done = browser.post(f"/violations/{item.id}/review", data={"verdict": "confirmed", "token": token})
    assert (done.status_code, "已确认" in done.text) == (200, True)
    assert browser.get("/violations/none").status_code == 404


def test_session_reads_but_never_changes(browser, sqlite_store, violation):
    """A browser's session follows the feed and reads the API, but a change needs the key itself."""
    browser.post("/login", data={"key": ADMIN})
    assert browser.get("/api/v1/violations").status_code == 200
    assert browser.put("/api/v1/policy", content="version: 1\n").status_code == 401


def test_session_ends_with_its_key(browser, sqlite_store):
    """Revoking a key ends the sessions that it opened; a forged session is none."""
    record, key = sqlite_store.keys.create("read")
    browser.post("/login", data={"key": key})
    assert browser.get("/").url.path == "/"
    sqlite_store.keys.revoke(record.id)
    assert browser.get("/").url.path == "/login"
    browser.cookies.set("sluice_session", "first.99999999999.00")
    assert browser.get("/").url.path == "/login"


def test_static_files(browser):
    """The page's own style and script are served, and nothing beside them."""
    assert browser.get("/static/sluice.css").status_code == 200
    icon = browser.get("/favicon.ico")
    assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")
    assert icon.text.startswith("<svg")
    assert browser.get("/static/feed.js").status_code == 200
    assert browser.get("/static/../app.py").status_code == 404


def _sign_in(browser, key):
    """The token that this browser's forms carry."""
    page = browser.post("/login", data={"key": key})
    return page.text.partition('name="token" value="')[2].partition('"')[0]


def test_a_proposal_goes_its_way_on_the_pages(browser, plane):
    """Without any script two people take a term from proposal to live, and an admin takes it back."""
    li, wang = (plane.store.keys.create(scope, name)[1] for scope, name in (("review", "li"), ("admin", "wang")))
    token = _sign_in(browser, li)
    given = {"token": token, "term": "天气", "category": "A1.d", "expires": "2099-12-31", "note": "今晚"}
    page = browser.post("/lexicon/proposals", data=given | {"needs": "classifier"})
    assert (page.status_code, "待批准" in page.text, "2099-12-31" in page.text) == (200, True, True)
    assert "<td>classifier</td>" in page.text
    one = page.url.path
    refused = browser.post(f"{one}/approve", data={"token": token})
    assert (refused.status_code, "另一人" in refused.text) == (403, True)
    assert browser.post(f"{one}/activate", data={"token": token}).status_code == 403
    browser.cookies.clear()
    token = _sign_in(browser, wang)
    assert "待试跑" in browser.post(f"{one}/approve", data={"token": token}).text
    assert "【天气】" in browser.post(f"{one}/try", data={"token": token, "texts": "天气不错\n"}).text
    assert browser.post(f"{one}/activate", data={"token": token}).status_code == 409
    assert "已生效" in browser.post(f"{one}/activate", data={"token": token, "anyway": "1"}).text
    assert plane.store.terms.count() == 1
    assert browser.post("/lexicon/undo", data={"token": token, "number": "7"}).status_code == 409
    page = browser.post("/lexicon/undo", data={"token": token, "number": "1"})
    assert ("已撤销" in page.text, plane.store.terms.count()) == (True, 0)
    assert browser.get("/lexicon", params={"lang": "en"}).text.count("undone") == 1


def test_forms_of_other_sites_change_no_term(browser, plane):
    """Without the token of our own form, or signed out, no step is taken; a bad term is told."""
    given = {"term": "词语", "category": "A1.d"}
    assert browser.post("/lexicon/proposals", data=given).url.path == "/login"
    token = _sign_in(browser, ADMIN)
    for path in ("/lexicon/proposals", "/lexicon/undo", "/lexicon/proposals/x/approve"):
        assert browser.post(path, data=given).status_code == 403
    assert plane.store.proposals.list() == []
    wrong = browser.post("/lexicon/proposals", data=given | {"token": token, "expires": "<b>soon"})
    assert (wrong.status_code, "&lt;b&gt;soon" in wrong.text) == (400, True)
    assert browser.get("/lexicon/proposals/none").status_code == 404
    assert browser.post("/lexicon/proposals/none/try", data={"token": token}).status_code == 404
    assert browser.post("/lexicon/proposals/none/dance", data={"token": token}).status_code == 404
