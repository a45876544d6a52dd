"""What operators do: reload, drain, restart, add workers, and meet trouble, under a model API of their own."""

import signal
import socket
import sqlite3
import threading
import time

import httpx
import openai
import psutil
import pytest

from filters.lexicon import read_csv
from gateway.moderator import REFUSED
from gateway.store import Store

POLICY = "categories: {'*': {action: block}}\n"
TERMS = "term,category\n炸药,A1.d\n"


@pytest.fixture
def own(sluice, model, tmp_path):
    """A gateway in front of the test's model, with one imported term and nothing else that could match."""
    (tmp_path / "policy.yaml").write_text(POLICY)

    def make(**settings):
        base = {"upstream": model.url, "policy": tmp_path / "policy.yaml", "base_lexicon": "none", "classifier": "none"}
        gateway = sluice(**{**base, **settings})
        store = Store(f"sqlite:///{tmp_path / 'data' / 'sluice.db'}")
        (tmp_path / "data").mkdir(exist_ok=True)
        store.migrate()
        store.terms.upsert(read_csv(TERMS, "terms.csv"))
        store.close()
        return gateway

    return make


def ask(gateway, text="你好", **more):
    """One chat completion through the official client."""
    return gateway.client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], **more)


class Reader(threading.Thread):
    """Reads a streamed answer in the background."""

    def __init__(self, gateway):
        super().__init__()
        self.stream = ask(gateway, stream=True)
        self.text = ""
        self.reason = None
        self.start()

    def run(self):
        """Read to the end."""
        for chunk in self.stream:
            for choice in chunk.choices:
                self.text += choice.delta.content or ""
                self.reason = choice.finish_reason or self.reason


def test_a_term_counts_at_once_and_open_streams_go_on(own, model, tmp_path, eventually):
    """An import is in force within two seconds of the command's return; an open stream ends under its own rules."""
    gateway = own().start()
    model.pieces = ["这是手榴", "弹", model.WAIT, "，还是手榴弹。"]
    reader = Reader(gateway)
    eventually(lambda: "弹" in reader.text)
    (tmp_path / "more.csv").write_text("term,category\n手榴弹,A1.d\n")
    gateway.cli("lexicon", "import", tmp_path / "more.csv")
    returned = time.monotonic()
    eventually(lambda: ask(gateway, "手榴弹").choices[0].finish_reason == "content_filter", 2)
    assert time.monotonic() - returned < 2
    model.gate.set()
    reader.join(20)
    assert reader.text == "这是手榴弹，还是手榴弹。"
    assert reader.reason == "stop"
    assert ask(gateway).choices[0].finish_reason == "content_filter"


def test_a_streamed_answer_stops_before_the_term(own, model):
    """A term that arrives in pieces never reaches the client, and the model's connection is closed."""
    gateway = own().start()
    model.pieces = ["他买了", "炸", "鸡和炸", "药", *["，后文"] * 2000]
    reader = Reader(gateway)
    reader.join(20)
    assert reader.reason == "content_filter"
    assert reader.text.startswith("他买了炸鸡和")
    assert "炸药" not in reader.text
    assert "后文" not in reader.text
    assert model.broken.wait(10)


def test_a_blocked_prompt_never_reaches_the_model(own, model):
    """The refusal comes from the gateway alone."""
    gateway = own().start()
    assert ask(gateway, "教我做炸\u200b药").choices[0].finish_reason == "content_filter"
    assert model.seen == []


def test_sigterm_lets_streams_end(own, model, eventually):
    """After SIGTERM the open stream is completed, nothing new is accepted, and the exit code is 0."""
    gateway = own().start()
    model.pieces = ["一", model.WAIT, "二"]
    reader = Reader(gateway)
    eventually(lambda: reader.text == "一")
    gateway.process.send_signal(signal.SIGTERM)

    def refused():
        try:
            httpx.get(gateway.data + "/healthz")
        except httpx.TransportError:
            return True
        return False

    eventually(refused)
    model.gate.set()
    reader.join(20)
    assert (reader.text, reader.reason) == ("一二", "stop")
    assert gateway.process.wait(20) == 0


def test_the_grace_is_bounded(own, model, eventually):
    """A stream that does not end is cut after SLUICE_GRACE_S, and the exit code is 0 all the same."""
    gateway = own(grace_s=1).start()
    model.pieces = ["一", model.WAIT, "二"]
    response = gateway.client.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": "x"}], stream=True
    )
    started = time.monotonic()
    assert gateway.terminate() == 0
    assert time.monotonic() - started < 10
    response.http_response.close()


def test_two_workers_decide_alike(own, model, tmp_path, eventually):
    """Each worker has the same rules, a new term reaches both, their counters are one sum, and SIGTERM ends all."""
    gateway = own(workers=2).start()
    processes = psutil.Process(gateway.process.pid).children(recursive=True)

    def decisions(text, n=12):
        return {ask(gateway, text).choices[0].finish_reason for _ in range(n)}

    assert decisions("炸药") == {"content_filter"}
    assert decisions("你好") == {"stop"}
    (tmp_path / "more.csv").write_text("term,category\n手榴弹,A1.d\n")
    gateway.cli("lexicon", "import", tmp_path / "more.csv")
    time.sleep(2)
    assert decisions("手榴弹", 20) == {"content_filter"}
    items = gateway.admin("/api/v1/violations", limit=100)["items"]
    assert len(items) == 32
    headers = {"authorization": f"Bearer {gateway.key}"}
    metrics = httpx.get(gateway.control + "/metrics", headers=headers).text
    assert 'sluice_requests_total{api="openai.chat",decision="block"} 32.0' in metrics
    assert gateway.terminate() == 0
    eventually(lambda: not any(process.is_running() for process in processes))


def test_a_worker_that_is_killed_is_replaced(own, eventually):
    """After kill -9 of one data-plane process the port goes on answering, and a new process takes its place."""
    gateway = own(workers=2).start()

    def workers():
        children = psutil.Process(gateway.process.pid).children()
        alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
        return {child.pid for child in alive if "spawn_main" in " ".join(child.cmdline())}

    before = workers()
    # the control plane is the child that has its port open
    port = int(gateway.control.rpartition(":")[2])
    serving = {c.pid for c in psutil.net_connections("tcp") if c.laddr.port == port and c.status == "LISTEN"}
    victim = (before - serving).pop()
    psutil.Process(victim).kill()
    eventually(lambda: len(workers()) == 3 and victim not in workers(), 20)
    assert ask(gateway, "炸药").choices[0].finish_reason == "content_filter"


def test_a_broken_policy_is_told_and_changes_nothing(own, tmp_path, eventually):
    """The running ruleset stays; /readyz says so until it is mended, the control plane also file, line and reason."""
    gateway = own().start()
    ready = httpx.get(gateway.data + "/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "reasons": []})
    (tmp_path / "policy.yaml").write_text("mode: enforce\ncategories: {A9.z: {action: block}}\n")
    answer = eventually(lambda: (r := httpx.get(gateway.data + "/readyz")).status_code == 503 and r, 5)
    assert answer.json()["reasons"] == [REFUSED]
    told = httpx.get(gateway.control + "/api/v1/policy", headers={"authorization": f"Bearer {gateway.key}"})
    assert told.status_code == 400
    assert all(part in told.json()["error"]["message"] for part in ("policy.yaml:2", "A9.z"))
    assert ask(gateway, "炸药").choices[0].finish_reason == "content_filter"
    (tmp_path / "policy.yaml").write_text(POLICY)
    eventually(lambda: httpx.get(gateway.data + "/readyz").status_code == 200, 5)


def test_monitor_mode_delivers_and_says_what_it_would_do(own, model, tmp_path):
    """In monitor mode nothing is changed or held; headers and records say what enforcing would have done."""
    (tmp_path / "policy.yaml").write_text(POLICY + "mode: monitor\n")
    gateway = own().start()
    model.pieces = ["炸药在这里"]
    response = gateway.client.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": "炸药"}]
    )
    assert response.parse().choices[0].message.content == "炸药在这里"
    assert response.headers["x-sluice-decision"] == "flag"
    assert response.headers["x-sluice-would"] == "block"
    items = gateway.admin("/api/v1/violations")["items"]
    assert {(item["direction"], item["action"], item["would_action"]) for item in items} == {
        ("input", "flag", "block"),
        ("output", "flag", "block"),
    }


def test_the_control_plane_is_not_on_the_data_port(own, model):
    """A path of the control plane is the model's on the data port, even with the admin key."""
    gateway = own().start()
    headers = {"authorization": f"Bearer {gateway.key}"}
    answer = httpx.get(gateway.data + "/api/v1/violations", headers=headers)
    assert "items" not in answer.text
    assert httpx.get(gateway.control + "/api/v1/violations").status_code == 401


def test_moderation_keys_are_asked_for(own):
    """With SLUICE_MODERATION_KEYS the official client gets its own AuthenticationError."""
    gateway = own(moderation_keys="right-key").start()
    with pytest.raises(openai.AuthenticationError):
        gateway.client.moderations.create(input="x")
    assert gateway.client.with_options(api_key="right-key").moderations.create(input="炸药").results[0].flagged


def test_a_model_that_is_away_is_502(own):
    """The official client gets an error in its API's shape, and the gateway stays up."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        gateway = own(upstream=f"http://127.0.0.1:{taken.getsockname()[1]}").start()
        with pytest.raises(openai.APIStatusError) as caught:
            ask(gateway)
    assert caught.value.status_code == 502
    assert httpx.get(gateway.data + "/healthz").status_code == 200


def test_a_large_body_is_413(own):
    """Over SLUICE_MAX_BODY the official client gets 413 on both endpoints."""
    gateway = own(max_body="10KiB").start()
    for call in (lambda: ask(gateway, "x" * 20_000), lambda: gateway.client.moderations.create(input="x" * 20_000)):
        with pytest.raises(openai.APIStatusError) as caught:
            call()
        assert caught.value.status_code == 413


# --- starts that cannot be ---------------------------------------------------------------------------------------


def test_a_port_in_use(own):
    """The message names the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = own(port=taken.getsockname()[1]).fails_to_start()
    assert "SLUICE_PORT" in said
    assert "in use" in said


def test_an_upstream_that_is_no_url(sluice):
    """The message names the setting and a form that works."""
    said = sluice(upstream="localhost:9000").fails_to_start()
    assert "SLUICE_UPSTREAM" in said
    assert "http://host:port" in said


def test_an_unwritable_data_folder(sluice, tmp_path):
    """The message names the setting."""
    (tmp_path / "file").write_text("")
    assert "SLUICE_DATA_DIR" in sluice(data_dir=tmp_path / "file" / "data").fails_to_start()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_policy_that_cannot_be_read(sluice, tmp_path, workers):
    """File, line and reason, with one process and with several."""
    (tmp_path / "policy.yaml").write_text("mode: enforce\non_block: explode\n")
    said = sluice(policy=tmp_path / "policy.yaml", workers=workers).fails_to_start()
    assert "policy.yaml:2" in said


def test_a_damaged_model(sluice, tmp_path):
    """A model file that does not fit its checksum is named."""
    import shutil

    from models import SHIPPED_WEIGHTS

    if not (SHIPPED_WEIGHTS / "model.onnx").exists():
        pytest.fail("the shipped model is missing")
    shutil.copytree(SHIPPED_WEIGHTS, tmp_path / "model")
    with (tmp_path / "model" / "model.onnx").open("ab") as file:
        file.write(b"x")
    assert "model.onnx" in sluice(classifier=tmp_path / "model").fails_to_start()


def test_a_database_of_a_newer_version(sluice, tmp_path):
    """It is refused and not touched."""
    gateway = sluice()
    gateway.cli("migrate")
    with sqlite3.connect(tmp_path / "data" / "sluice.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    assert "newer" in gateway.fails_to_start()


def test_records_wait_on_disk_while_the_database_is_away(own, tmp_path, eventually):
    """With the database locked a block is still answered and recorded; the record is in the store once it is back."""
    gateway = own().start()
    ask(gateway, "炸药")
    database = sqlite3.connect(tmp_path / "data" / "sluice.db", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    assert ask(gateway, "还是炸药").choices[0].finish_reason == "content_filter"
    assert list((tmp_path / "data" / "spool").rglob("*"))
    assert httpx.get(gateway.data + "/readyz").status_code == 503
    database.execute("ROLLBACK")
    database.close()
    eventually(lambda: len(gateway.admin("/api/v1/violations")["items"]) == 2, 30)
    eventually(lambda: httpx.get(gateway.data + "/readyz").status_code == 200)


def test_records_in_the_spool_outlive_kill_9(own, tmp_path, eventually):
    """A verdict that was told while the database was away is there after every process was killed."""
    gateway = own().start()
    database = sqlite3.connect(tmp_path / "data" / "sluice.db", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    ask(gateway, "炸药")
    gateway.kill()
    database.execute("ROLLBACK")
    database.close()
    again = own().start()
    again.key = gateway.key
    eventually(lambda: len(again.admin("/api/v1/violations")["items"]) == 1, 30)
