"""Real servers in processes of their own: started, stopped, paused, killed."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest
from tests.serve.conftest import PATIENCE, Home, Process, wait_for
from tests.serve.probe import sign


def names(home: Home) -> dict[str, str]:
    """Account id to who has read it, among all that were committed."""
    return dict(home.all("SELECT id, name FROM r_account"))


def next_run(server: Process) -> float:
    """When the server says that the probe runs next, epoch seconds."""
    (line,) = [line for line in server.get("/metrics").text.splitlines() if line.startswith("wellkept_schedule_next")]
    return float(line.split()[-1])


def test_a_server_runs_what_is_due_and_ends_when_told(home: Home) -> None:
    server = home.serve()
    wait_for(lambda: home.runs() == [("run", "done")], "the first run")
    assert server.role == "scheduling"
    assert server.get("/probe/hello").text == "hello"
    assert server.end() == 0
    assert home.all("SELECT instance, settled, tries FROM schedules") == [("probe", 1, 0)]
    assert home.all("SELECT expires_at FROM locks WHERE name IN ('serve', 'run')") == [(0,), (0,)]


def test_lines_say_which_run_and_instance_they_are_about(home: Home) -> None:
    home.configure(serve='[logging]\nformat = "json"')
    server = home.serve()
    wait_for(lambda: home.runs() == [("run", "done")], "the first run")
    assert httpx.post(f"{server.url}/webhooks/probe", content=b"{}", trust_env=False).status_code == 401
    assert server.end() == 0
    lines = [json.loads(line) for line in server.errors.splitlines()]
    ((run,),) = home.all("SELECT id FROM runs")
    about_runs = [line for line in lines if run in line["message"]]
    assert len(about_runs) == 2, "it is due, it is done"
    assert {line["run"] for line in about_runs} == {run}
    (refused,) = [line for line in lines if "refused" in line["message"]]
    assert refused["instance"] == "probe"


def test_a_webhook_is_read_soon(home: Home) -> None:
    server = home.serve()
    wait_for(lambda: home.runs() == [("run", "done")], "the first run")
    body = json.dumps({"id": "e1", "object": "x1"}).encode()
    for _ in range(2):  # the vendor repeats itself
        answer = httpx.post(f"{server.url}/webhooks/probe", content=body, headers={"x-signature": sign(body)}, trust_env=False)
        assert answer.status_code == 200
    wait_for(lambda: home.runs() == [("run", "done"), ("hints", "done")], "the run for the hint")
    assert names(home)["x1"] == "fetched"
    assert [line for line in home.log() if "fetch" in line] == ["probe fetch x1"]
    metrics = server.get("/metrics").text
    assert 'wellkept_webhooks_total{instance="probe",status="200"} 2.0' in metrics
    assert 'wellkept_runs_total{state="done"} 2.0' in metrics
    assert server.end(signal.SIGINT) == 0


def test_a_webhook_that_was_answered_outlives_a_kill(home: Home) -> None:
    home.mode("gated")
    first = home.serve()
    wait_for(lambda: "probe waits" in home.log(first.pid), "a run that keeps hints waiting")
    body = b'{"id": "e1", "object": "x1"}'
    answer = httpx.post(f"{first.url}/webhooks/probe", content=body, headers={"x-signature": sign(body)}, trust_env=False)
    first.end(signal.SIGKILL)
    assert answer.status_code == 200
    home.mode("plain")
    second = home.serve()
    wait_for(lambda: names(home).get("x1") == "fetched", "the hint is read")
    assert second.end() == 0


def test_what_was_missed_while_down_is_caught_up_once(home: Home) -> None:
    home.configure('schedule = "every 1 hour"')
    assert home.serve().end() == 0
    hours = 3_600_000
    fired = int(time.time() * 1000) - 100 * hours
    wait_for(lambda: home.all("SELECT COUNT(*) FROM runs WHERE state = 'running'") == [(0,)], "the end")
    home.execute("DELETE FROM runs")
    home.execute("DELETE FROM schedules")
    home.execute(f"INSERT INTO schedules VALUES ('probe', {fired}, 1, 0)")
    server = home.serve()
    wait_for(lambda: home.runs() == [("run", "done")], "the run that was missed")
    assert 0 < next_run(server) - time.time() <= 3600
    assert server.end() == 0
    again = home.serve()
    wait_for(lambda: again.role == "scheduling", "the lease")
    assert 0 < next_run(again) - time.time() <= 3600
    assert again.end() == 0
    assert home.runs() == [("run", "done")]


def test_a_paused_server_that_wakes_up_commits_nothing(shared: Home) -> None:
    """Two servers on one store: the first is stopped within a run, the second takes over, the first wakes up."""
    shared.configure(lease=2)
    shared.mode("gated")
    first = shared.serve()
    wait_for(lambda: "probe waits" in shared.log(first.pid), "the first server's run")
    second = shared.serve()
    wait_for(lambda: second.role == "standby", "the second stands by")
    first.send(signal.SIGSTOP)
    shared.mode("plain")
    wait_for(lambda: ("run", "done") in shared.runs(), "the second takes over, and does the run that was cut off")
    committed = names(shared)
    assert committed == {"0": f"read by {second.pid}"}

    (shared.folder / f"gate-{first.pid}").touch()
    first.send(signal.SIGCONT)
    wait_for(lambda: "probe goes on" in shared.log(first.pid), "the first goes on")
    wait_for(lambda: first.role == "standby", "the first finds out")
    assert second.role == "scheduling"
    assert names(shared) == committed
    assert shared.runs() == [("run", "interrupted"), ("run", "done")]
    assert shared.all("SELECT epoch FROM locks WHERE name = 'serve'") == [(2,)]
    assert first.end() == 0
    assert second.end() == 0


def test_a_paused_server_that_wakes_up_claims_nothing(shared: Home) -> None:
    """The same just before an effect is claimed: who was replaced sends nothing, and what is sent is sent once."""
    shared.configure('nag = true\nlive = true\n[messages]\nteam = ["team@example.com"]', lease=2)
    primer = shared.serve()
    wait_for(lambda: shared.runs() == [("run", "done")], "the run that takes note")
    assert primer.end() == 0
    shared.execute("UPDATE schedules SET last_fired = 0")
    shared.mode("doubting")
    first = shared.serve()
    wait_for(lambda: "doubts" in shared.log(first.pid), "an effect about to be claimed")
    second = shared.serve()
    first.send(signal.SIGSTOP)
    wait_for(lambda: "doubts" in shared.log(second.pid), "the second takes over, and is about to claim it")

    (shared.folder / f"gate-{first.pid}").touch()
    first.send(signal.SIGCONT)
    wait_for(lambda: first.role == "standby", "the first finds out")
    assert [line for line in shared.log() if line.startswith("task")] == []
    (shared.folder / f"gate-{second.pid}").touch()
    wait_for(lambda: shared.runs()[-1] == ("run", "done"), "the second goes on")
    sent = [line for line in shared.log() if line.startswith("task")]
    assert len(sent) == len(set(sent)) == 2
    assert shared.log(first.pid)[-1] == "doubts"
    assert first.end() == 0
    assert second.end() == 0


def test_after_a_kill_the_next_server_begins_again_at_once(home: Home) -> None:
    """Its lease of a minute need not end: the process is gone for certain."""
    home.mode("gated")
    first = home.serve()
    wait_for(lambda: "probe waits" in home.log(first.pid), "the run")
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    home.mode("plain")
    second = home.serve()
    wait_for(lambda: ("run", "done") in home.runs(), "the run that was cut off")
    assert home.runs() == [("run", "interrupted"), ("run", "done")]
    assert second.end() == 0


CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@pytest.mark.skipif(
    subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode != 0, reason="unshare is not permitted"
)
def test_servers_in_two_containers_of_one_name_do_not_take_each_other_for_dead(shared: Home) -> None:
    """Both are the process number 1 of the same host name."""
    first = shared.serve(before=CONTAINER)
    wait_for(lambda: shared.runs() == [("run", "done")], "the first run")
    second = shared.serve(before=CONTAINER)
    wait_for(lambda: "another server schedules; standing by" in second.errors, "the second stands by")
    assert (first.role, second.role) == ("scheduling", "standby")
    assert shared.all("SELECT epoch FROM locks WHERE name = 'serve'") == [(1,)]
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    assert second.end(signal.SIGKILL) == -signal.SIGKILL


def test_a_stop_parks_the_run_and_the_next_server_goes_on(home: Home) -> None:
    home.mode("gated")
    first = home.serve()
    wait_for(lambda: "probe waits" in home.log(first.pid), "the run")
    assert first.end() == 0
    assert home.runs() == [("run", "interrupted")]
    assert home.all("SELECT summary FROM runs") == [("the server is stopping",)]
    assert list(names(home)) == ["0"], "what was read is kept"
    home.mode("plain")
    second = home.serve()
    wait_for(lambda: ("run", "done") in home.runs(), "the run goes on")
    assert home.log(second.pid) == ["probe read 1 plain"]
    assert second.end() == 0


def test_however_often_a_run_is_parked_the_next_server_goes_on(home: Home) -> None:
    home.mode("gated")
    for number in range(4):
        server = home.serve()
        wait_for(lambda: "probe waits" in home.log(server.pid), f"run {number}")  # noqa: B023 - called at once
        assert server.end() == 0
    home.mode("plain")
    last = home.serve()
    wait_for(lambda: home.runs()[-1] == ("run", "done"), "the run goes on")
    assert home.runs() == [*[("run", "interrupted")] * 4, ("run", "done")]
    assert last.end() == 0


def test_hints_whose_run_hung_are_read_again(home: Home) -> None:
    """Not at once, and not only when the next one comes."""
    home.configure('schedule = "0 0 1 1 *"')
    first = home.serve()
    wait_for(lambda: home.runs() == [("run", "done")], "the first run")
    assert first.end() == 0
    home.configure('schedule = "0 0 1 1 *"', serve="deadline_minutes = 0.01")
    home.mode("hang")
    server = home.serve()
    body = b'{"id": "e1", "object": "x1"}'
    httpx.post(f"{server.url}/webhooks/probe", content=body, headers={"x-signature": sign(body)}, trust_env=False)
    wait_for(lambda: home.all("SELECT attempts FROM inbox") == [(1,)], "the run hung, and its hint is put off")
    assert server.end() == 0
    home.mode("plain")
    home.configure('schedule = "0 0 1 1 *"')
    last = home.serve()
    home.execute("UPDATE inbox SET not_before = not_before - 55000")  # most of its minute goes by
    wait_for(lambda: home.runs() == [("run", "done"), ("hints", "failed"), ("hints", "done")], "it is read again")
    assert names(home)["x1"] == "fetched"
    assert last.end() == 0


def test_a_run_that_blocks_is_named_and_left_behind(home: Home) -> None:
    """The others go on: the deadline ends what obeys nobody, and it can commit nothing any more."""
    home.configure(
        f'[plugins.other]\nplugin = "probe"\nfolder = "{home.folder}"\nschedule = "0 0 1 1 *"',
        serve="deadline_minutes = 0.05\nstop_seconds = 1",
    )
    home.mode("block")
    server = home.serve(grace=0.5)
    wait_for(lambda: ("run", "failed") in home.runs(), "the deadline")
    ((summary,),) = home.all("SELECT summary FROM runs LIMIT 1")
    assert summary.startswith("it hung in sync (")
    assert ".accounts" in summary
    wait_for(lambda: "left behind" in server.errors, "the log")
    home.mode("plain")
    body = b'{"id": "e1", "object": "x1"}'
    httpx.post(f"{server.url}/webhooks/probe", content=body, headers={"x-signature": sign(body)}, trust_env=False)
    wait_for(lambda: ("hints", "done") in home.runs(), "the next run")
    assert server.end() == 0


def test_a_run_that_hangs_is_ended_by_its_deadline(home: Home) -> None:
    home.configure(serve="deadline_minutes = 0.01")
    home.mode("hang")
    server = home.serve()
    wait_for(lambda: home.runs() and home.runs()[0][1] != "running", "the deadline")
    assert home.all("SELECT state, summary FROM runs") == [
        ("failed", "it hung in sync (probe.accounts) and was ended after 1 s")
    ]
    assert home.all("SELECT state FROM run_streams") == [("failed",)]
    wait_for(lambda: home.all("SELECT settled FROM schedules") == [(1,)], "it waits for its next time")
    assert server.end() == 0


def test_what_does_not_stop_in_time_is_cut_off(home: Home) -> None:
    home.configure(serve="stop_seconds = 0.3")
    home.mode("block")
    server = home.serve(cut_off=0.3)
    wait_for(lambda: home.log(server.pid), "the run")
    assert server.end() == 5
    ((state, summary),) = home.all("SELECT state, summary FROM runs")
    assert state == "failed"
    assert "sync (probe.accounts)" in summary


def test_the_same_signal_again_ends_at_once(home: Home) -> None:
    """Also where what is under way hears nothing; it may have an hour otherwise."""
    home.configure(serve="stop_seconds = 3600")
    home.mode("block")
    server = home.serve(cut_off=0.3)
    wait_for(lambda: home.log(server.pid), "the run")
    server.send(signal.SIGTERM)
    wait_for(lambda: "stopping" in server.errors, "the first one")
    assert server.end() == 5
    assert "is to end at once, and is cut off" in server.errors
    assert [state for _, state in home.runs()] == ["failed"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_who_is_told_to_stop_while_starting_stops_well(home: Home) -> None:
    """Here while another process holds the store, as a migration would."""
    assert home.serve().end() == 0
    with closing(sqlite3.connect(home.folder / "wellkept.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        starting = home.start()
        wait_for(lambda: _has_open(starting.pid, home.folder / "wellkept.db"), "it asks for the store")
        starting.send(signal.SIGTERM)
        other.execute("ROLLBACK")
    assert starting.process.wait(PATIENCE) == 0
    assert "told to stop before anything was served" in starting.errors


def _has_open(pid: int, path: Path) -> bool:
    with suppress(FileNotFoundError):  # of files that are closed meanwhile
        return any(file.readlink() == path for file in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_a_collector_that_is_away_does_not_hold_up_the_end(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.configure(serve="traces = true")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        server = home.serve(traces=0.2)
        wait_for(lambda: home.runs() == [("run", "done")], "the run")
        assert server.end() == 0
    assert "the last traces could not be sent" in server.errors


def test_a_firing_from_the_future_stops_nobody(home: Home) -> None:
    """The clock was put back since. Who is due when nobody knows is let run once, and by its schedule from then on."""
    assert home.serve().end() == 0
    home.execute(f"UPDATE schedules SET last_fired = {int(time.time() * 1000) + 10**9}, settled = 1, tries = 0")
    before = len(home.runs())
    server = home.serve()
    wait_for(lambda: len(home.runs()) == before + 1 and home.runs()[-1] == ("run", "done"), "a run")
    assert 0 < next_run(server) - time.time() <= 3600
    assert server.end() == 0


def test_silent_clients_take_nobody_s_place(home: Home) -> None:
    """Those that say nothing, or too slowly what they want, go when others come, or when their time is over."""
    server = home.serve(connections=8, head=1)
    host, port = server.url.removeprefix("http://").split(":")
    crowd = [socket.create_connection((host, int(port))) for _ in range(20)]
    for client in crowd:
        client.settimeout(PATIENCE)
        with suppress(OSError):  # some are gone already
            client.sendall(b"POST /webhooks/probe HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    body = b'{"id": "e1", "object": "x1"}'
    answer = httpx.post(f"{server.url}/webhooks/probe", content=body, headers={"x-signature": sign(body)}, trust_env=False)
    assert answer.status_code == 200
    assert server.get("/health/live").status_code == 200
    for client in crowd:
        with client, suppress(ConnectionError):
            assert client.recv(1) == b"", "let go without an answer"
    assert server.end() == 0


def test_a_crowd_is_told_to_come_again_and_health_is_answered(home: Home) -> None:
    server = home.serve(requests=2)
    host, port = server.url.removeprefix("http://").split(":")
    head = b"POST /webhooks/probe HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    with ExitStack() as crowd:
        for _ in range(2):
            crowd.enter_context(socket.create_connection((host, int(port)))).sendall(head)
        answer = wait_for(lambda: _refused(server), "no more are taken")
        assert answer.headers["retry-after"] == "10"
        assert server.get("/health/live").status_code == 200
        assert server.get("/metrics").status_code == 200
    wait_for(lambda: not _refused(server), "they are gone")
    assert server.end() == 0


def _refused(server: Process) -> httpx.Response | None:
    answer = httpx.post(f"{server.url}/webhooks/probe", content=b"x", trust_env=False)
    return answer if answer.status_code == 503 else None
