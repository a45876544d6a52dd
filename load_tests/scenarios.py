"""What is measured. Each function fills rows ``{name: value}``, named as in ``budgets.toml`` or by what they say."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import clients
import processes
import word_list
from apis import APIS
from processes import Server
from texts import ANSWER, QUESTION, request_body

TESTS = Path(__file__).parent.parent / "tests"


@dataclass
class Rig:
    """What every scenario needs: a folder of its own, the upstream, how long to measure, and where rows go."""

    work: Path
    upstream: Server
    seconds: float
    rows: dict[str, float] = field(default_factory=dict)
    say: Callable[[str], None] = print

    def folder(self, name: str) -> Path:
        """A fresh folder below the work folder."""
        path = self.work / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def prepared(rig: Rig, name: str, terms: int) -> Path:
    """A data folder into which that many terms were imported; the time goes into the rows."""
    folder = rig.folder(name)
    csv = folder / "terms.csv"
    word_list.write(csv, terms)
    processes.run_cli(folder, "migrate")
    rig.rows[f"import_{terms // 1000}k"] = processes.run_cli(folder, "lexicon", "import", str(csv), "--replace")
    return folder


def measure_rig(rig: Rig) -> None:
    """How much the generator and the upstream carry with nothing between them: all else must stay well below."""
    direct = clients.wrk(rig.upstream, rig.work, 32, rig.seconds, request_body(stream=False))
    rig.rows["rig_requests_s"] = direct.rate
    streams = asyncio.run(clients.run_streams(rig.upstream, 20, 5, "chunks=100;tick=2"))
    rig.rows["rig_chunks_s"] = streams.chunks / streams.seconds


def latency_added(rig: Rig, server: Server, name: str) -> None:
    """Interleaved rounds against the upstream directly, so that a busy machine disturbs both alike."""
    direct: list[float] = []
    through: list[float] = []
    refused = 0
    for _ in range(5):
        direct += clients.latencies(rig.upstream, 400).ms
        run = clients.latencies(server, 400)
        through, refused = through + run.ms, refused + run.refused
    rig.rows[f"{name}_refused"] = float(refused)
    for share, label in ((0.5, "p50"), (0.99, "p99")):
        rig.rows[f"{name}_added_{label}"] = clients.percentile(through, share) - clients.percentile(direct, share)


def streams(rig: Rig, server: Server, name: str) -> None:
    """100 chunks a stream: 20 at once every 2 ms, then 200 open at once every 20 ms."""
    run = asyncio.run(clients.run_streams(server, 20, 6, "chunks=100;tick=2"))
    rig.rows[f"{name}_cpu_chunk"] = run.cpu_us_chunk
    many = asyncio.run(clients.run_streams(server, 200, 1, "chunks=100;tick=20"))
    rig.rows[f"{name}_200_cpu_chunk"] = many.cpu_us_chunk
    rig.rows[f"{name}_200_lost"] = float(run.lost + many.lost)


def streams_of_every_api(rig: Rig, server: Server) -> None:
    """Streams of the same tokens in each API's way, and in chat's once more beside them: CPU a chunk, and the ratio."""
    chat = asyncio.run(clients.run_streams(server, 20, 5, "chunks=100;tick=2")).cpu_us_chunk
    rig.rows["api_chat_cpu_chunk"] = chat
    for name, api in APIS.items():
        run = asyncio.run(clients.run_streams(server, 20, 5, "chunks=100;tick=2", api=api))
        rig.rows[f"api_{name}_cpu_chunk"] = run.cpu_us_chunk
        rig.rows[f"api_{name}_lost"] = float(run.lost)
        rig.rows[f"api_{name}_ratio"] = run.cpu_us_chunk / chat


def first_token(server: Server) -> float:
    """Median milliseconds from the frame that released the first token to the client, at a slow pace."""
    run = asyncio.run(clients.run_streams(server, 1, 25, "chunks=20;tick=10;stamp=1", stamps=True))
    delays = []
    for seen in run.seen:
        arrived = seen[0][1]
        delays.append((arrived - max(sent for sent, _ in seen if sent <= arrived)) * 1000)
    return clients.median(delays)


def measure_nginx(rig: Rig) -> None:
    """The yardstick: plain ``proxy_pass``."""
    with processes.nginx(rig.upstream, rig.folder("nginx")) as server:
        clients.wrk(server, rig.work, 32, 1, request_body(stream=False))
        run = clients.wrk(server, rig.work, 32, rig.seconds, request_body(stream=False))
        rig.rows["nginx_cpu"], rig.rows["nginx_requests_s"] = run.cpu_us, run.rate
        latency_added(rig, server, "nginx")
        streams(rig, server, "nginx_sse")


def measure_gateway(rig: Rig, name: str, folder: Path, **settings: str) -> None:
    """One configuration of Sluice: whole requests, latency, streams, memory."""
    with processes.sluice(folder, rig.upstream, **settings) as server:
        rig.rows[f"{name}_start"] = server.started_in
        clients.wrk(server, rig.work, 32, 1, request_body(stream=False))
        run = clients.wrk(server, rig.work, 32, rig.seconds, request_body(stream=False))
        rig.rows[f"{name}_cpu"], rig.rows[f"{name}_requests_s"] = run.cpu_us, run.rate
        rig.rows[f"{name}_bad"] = float(run.bad)
        latency_added(rig, server, name)
        streams(rig, server, f"{name}_sse")
        rig.rows[f"{name}_first_token"] = first_token(server)
        if name == "on":
            streams_of_every_api(rig, server)
        rig.rows[f"{name}_rss"] = processes.rss_mb(server.pids)


def inference_cpu_seconds(server: Server) -> float:
    """CPU seconds that the classifier's worker threads have spent, from the control plane's metrics."""
    request = urllib.request.Request(f"{server.admin_url}/metrics")  # noqa: S310 - loopback
    request.add_header("authorization", f"Bearer {server.admin_key}")
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        lines = answer.read().decode().splitlines()
    return sum(float(row.rsplit(" ", 1)[1]) for row in lines if row.startswith("sluice_inference_cpu_seconds_total"))


def measure_classifier(rig: Rig, folder: Path) -> None:
    """Classifier on: what it costs beyond its own inference, one connection so that every request is scored alone."""
    body = request_body(stream=False)
    with processes.sluice(folder, rig.upstream) as server:
        rig.rows["start_ready"] = server.started_in
        known = clients.latencies(server, 100)
        inferred, spent = inference_cpu_seconds(server), processes.cpu_ns(server.pids)
        taken = clients.latencies(server, 500, vary=True)
        inferred, spent = inference_cpu_seconds(server) - inferred, processes.cpu_ns(server.pids) - spent
        rig.rows["classifier_p50"] = clients.percentile(taken.ms, 0.5)
        rig.rows["classifier_refused"] = float(known.refused + taken.refused)
        rig.rows["classifier_inference_cpu"] = inferred / 500 * 1e6
        rig.rows["classifier_rest_cpu"] = spent / 1000 / 500 - rig.rows["classifier_inference_cpu"]
        run = clients.wrk(server, rig.work, 32, rig.seconds, body)
        rig.rows["classifier_cpu"], rig.rows["classifier_requests_s"] = run.cpu_us, run.rate
        streams(rig, server, "classifier_sse")
        rig.rows["rss"] = processes.rss_mb(server.pids)
    with processes.sluice(folder, rig.upstream, classifier="none") as server:
        clients.latencies(server, 100)
        spent = processes.cpu_ns(server.pids)
        clients.latencies(server, 500, vary=True)
        rig.rows["classifier_off_cpu"] = (processes.cpu_ns(server.pids) - spent) / 1000 / 500
    off, rest = rig.rows["classifier_off_cpu"], rig.rows["classifier_rest_cpu"]
    rig.rows["classifier_overhead"] = (rest - off) / off * 100


def measure_violations(rig: Rig, folder: Path) -> None:
    """One request in a hundred is stopped and recorded; then every one; then the recorder by itself."""
    term = (folder / "terms.csv").read_text().splitlines()[1].split(",")[0]
    clean, bad = request_body(stream=False), request_body(stream=False, question=f"请介绍一下{term}。")
    with processes.sluice(folder, rig.upstream, classifier="none") as server:
        clients.wrk(server, rig.work, 32, 1, clean)
        run = clients.wrk(server, rig.work, 32, rig.seconds, clean, bad, every=100)
        rig.rows["violations_1pc_cpu"], rig.rows["violations_1pc_p99"] = run.cpu_us, run.p99_ms
        run = clients.wrk(server, rig.work, 64, rig.seconds, bad)
        rig.rows["violations_http"] = run.rate
    rig.rows["violations_durable"] = processes.run_bench(TESTS / "gateway" / "bench_recorder.py")["rows_s"]


def measure_swap(rig: Rig, folder: Path) -> None:
    """Import 100,000 terms into a running gateway and watch its event loop meanwhile."""
    with processes.sluice(folder, rig.upstream, classifier="none") as server:
        time.sleep(1)
        with clients.Heartbeat(server) as calm:
            time.sleep(2)
        rig.rows["heartbeat_calm"] = max(calm.times)
        csv = folder / "terms.csv"
        csv.write_text(csv.read_text().replace(",block", ",mask"))
        with clients.Heartbeat(server) as beat:
            processes.run_cli(folder, "lexicon", "import", str(csv))
            time.sleep(4)
        rig.rows["swap_stall"] = max(beat.times)


def measure_holdback(rig: Rig) -> None:
    """One character a frame every 4 ms: how many later characters had been sent when each was delivered."""
    folder = prepared(rig, "holdback", 40_000)
    with processes.sluice(folder, rig.upstream, classifier="none") as server:
        run = asyncio.run(clients.run_streams(server, 2, 3, "chunks=500;tick=4;size=1;stamp=1", stamps=True))
    held = [count for seen in run.seen for count in clients.held_back(seen, 0.003)]
    rig.rows["holdback_mean"] = sum(held) / len(held)
    rig.rows["holdback_p99"] = clients.percentile(held, 0.99)
    rig.rows["holdback_max"] = max(held)


def measure_all(rig: Rig) -> None:
    """Every scenario, in an order that keeps the machine's state alike for the rows that are compared."""
    rig.say("rig"), measure_rig(rig)
    rig.say("nginx"), measure_nginx(rig)
    rig.say("Sluice, filters off")
    measure_gateway(rig, "off", rig.folder("off"), base_lexicon="none", classifier="none")
    rig.say("100,000 terms: import")
    folder = prepared(rig, "full", 100_000)
    rig.say("Sluice, 100,000 terms, classifier off"), measure_gateway(rig, "on", folder, classifier="none")
    rig.say("Sluice, 100,000 terms, classifier on"), measure_classifier(rig, folder)
    rig.say("violations"), measure_violations(rig, folder)
    rig.say("swap"), measure_swap(rig, folder)
    rig.say("hold-back"), measure_holdback(rig)
    rig.say("filters by themselves")
    bench = processes.run_bench(TESTS / "filters" / "bench_budget.py", str(folder / "terms.csv"))
    rig.rows["filter_long"], rig.rows["filter_chunk"] = bench["long_mchars_s"], bench["chunk_us"]
    ordinary = rig.folder("kinds") / "ordinary.txt"
    ordinary.write_text(QUESTION + ANSWER, encoding="utf-8")
    rig.rows |= processes.run_bench(TESTS / "filters" / "bench_kinds.py", str(folder / "terms.csv"), str(ordinary))
    rows = rig.rows
    rows["nonstream_cpu_ratio_nginx"] = rows["on_cpu"] / rows["nginx_cpu"]
    rows["nonstream_cpu_ratio_off"] = rows["on_cpu"] / rows["off_cpu"]
    rows["nonstream_added_p50"], rows["nonstream_added_p99"] = rows["on_added_p50"], rows["on_added_p99"]
    rows["sse_cpu_chunk"] = rows["on_sse_cpu_chunk"]
    rows["sse_200_lost"] = rows["on_sse_200_lost"] + rows["classifier_sse_200_lost"]
    rows["refused"] = rows["on_refused"] + rows["classifier_refused"]
    rows["sse_cpu_ratio_nginx"] = rows["on_sse_cpu_chunk"] / rows["nginx_sse_cpu_chunk"]
    rows["sse_first_token"] = rows["on_first_token"]
    rows["api_lost"] = sum(rows[f"api_{name}_lost"] for name in APIS)
    rows["api_worst_ratio"] = max(rows[f"api_{name}_ratio"] for name in APIS)
