import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]

GROUP = """
import asyncio, json, os, sys
from pathlib import Path
from gateway import serving, workers
from gateway.asgi import respond
from gateway.settings import Settings

async def app(scope, receive, send):
    if scope["path"] == "/die":
        os._exit(3)
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    await respond(send, 200, str(os.getpid()).encode())

async def child_main(job, started, stop):
    if os.environ.get("REFUSE") == job.role:
        raise serving.StartError("the weights are missing")
    await serving.serve([serving.Plane(app, job.listener, job.settings.grace_s)], stop, started)

if __name__ == "__main__":
    settings = Settings(port=0, admin_port=0, workers=2, grace_s=5, data_dir=Path(sys.argv[1]))
    data, control = serving.bind_planes(settings)
    urls = [serving.url_of(data), serving.url_of(control)]
    try:
        workers.run_group(settings, data, control, child_main, lambda: print(json.dumps(urls), flush=True))
    except serving.StartError as error:
        print(error)
        sys.exit(1)
"""


class Group:
    """A running group and the URLs of its planes."""

    def __init__(self, folder, **environ):
        script = folder / "group.py"
        script.write_text(GROUP)
        self.process = subprocess.Popen(
            [sys.executable, script, folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        )

    def started(self):
        """Wait for the URLs."""
        self.data, self.control = json.loads(self.process.stdout.readline())
        return self

    def children(self):
        """The serving processes."""
        found = psutil.Process(self.process.pid).children()
        return [child for child in found if "spawn_main" in " ".join(child.cmdline())]

    def end(self):
        """End what a test left running."""
        with self.process:
            self.process.kill()


@pytest.fixture
def group(tmp_path):
    """Two workers and a control plane."""
    running = Group(tmp_path)
    yield running.started()
    running.end()


def get(url):
    """The body of an answer on a connection of its own."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def eventually(check, seconds=15):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_planes_are_served_by_processes_of_their_own(group):
    """Two workers and one control plane, none of them the parent; the two planes never share a process."""
    children = {child.pid for child in group.children()}
    assert len(children) == 3
    data = {int(get(group.data)) for _ in range(20)}
    control = int(get(group.control))
    assert data | {control} <= children
    assert control not in data


def test_a_worker_that_dies_is_started_again(group):
    """After a crash the port keeps answering, and soon there are as many processes as before."""
    before = {child.pid for child in group.children()}
    with pytest.raises(OSError, match=r"."):
        get(group.data + "/die")
    assert get(group.data)
    eventually(lambda: len({child.pid for child in group.children()} - before) == 1 and len(group.children()) == 3)
    assert get(group.data)


def test_sigterm_lets_answers_end_and_exits_0(group):
    """An answer in progress is completed, new connections are refused, and every process is gone."""
    slow = subprocess.Popen(
        [sys.executable, "-c", f"import urllib.request as u; print(u.urlopen('{group.data}/slow').status)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.5)
    children = group.children()
    group.process.send_signal(signal.SIGTERM)
    assert slow.communicate(timeout=10)[0].strip() == "200"
    assert group.process.wait(timeout=10) == 0
    assert not any(child.is_running() for child in children)


def test_workers_do_not_outlive_a_killed_parent(group):
    """Kill -9 of the parent leaves no process that holds the port."""
    children = group.children()
    group.process.kill()
    eventually(lambda: not any(child.is_running() for child in children))


def test_a_process_that_cannot_start_ends_the_group_with_its_reason(tmp_path):
    """What a worker lacks is said once, and nothing is left running."""
    running = Group(tmp_path, REFUSE="data")
    try:
        out, _ = running.process.communicate(timeout=20)
        assert out.strip() == "the weights are missing"
        assert running.process.returncode == 1
    finally:
        running.end()


def test_no_numbers_folder_is_left_behind(group, tmp_path):
    """The folder of shared metrics goes with the group."""
    assert list(tmp_path.glob("metrics-*"))
    group.process.send_signal(signal.SIGTERM)
    assert group.process.wait(timeout=10) == 0
    assert not list(tmp_path.glob("metrics-*"))
