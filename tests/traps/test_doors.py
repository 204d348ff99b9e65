"""Where things ended badly at the door: folders named like files, servers left behind, ports in use."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

typer_testing = pytest.importorskip("typer.testing")

from pbpk_hybrid.cli.app import app


def run(*words):
    return typer_testing.CliRunner().invoke(app, [str(w) for w in words])


@pytest.mark.parametrize(
    "command",
    [
        ("simulate", "midazolam", "--dose", "5 mg iv", "-n", "2"),
        ("fit", "data.csv", "--compound", "midazolam", "-p", "clint.liver"),
        ("train", "allometry"),
        ("train", "pcdm"),
        ("train", "transformer"),
    ],
)
@pytest.mark.parametrize("name", ["x.nc", "out.csv", "results.html", "run.ZARR"])
def test_a_folder_is_not_made_of_a_file_name(command, name, tmp_path):
    done = run(*command, "--out", tmp_path / name)
    assert done.exit_code == 2
    assert (
        "the name of a folder" in done.output
        and f"--out {tmp_path / name}"[:-3][:10] in done.output
    )
    assert not (tmp_path / name).exists()


def test_other_folders_are_made(tmp_path):
    from pbpk_hybrid.cli.terminal import check_folder, staged_folder

    for name in ("results", "run-1.5", "v2.0", ".hidden"):
        with staged_folder(tmp_path / name) as folder:
            (folder / "a.txt").write_text("a")
        assert (tmp_path / name / "a.txt").exists()
    (tmp_path / "old.d").mkdir()
    check_folder(tmp_path / "old.d")  # one that is there is a folder


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("population", "3"), "x.txt"),
        (("scale", "CCO", "--source", "rat:clearance=9 mL/min/kg"), "x.txt"),
        (("nca", "sim.nc"), "x.txt"),
        (("forecast", "data.csv"), "x.txt"),
        (("plot", "sim.nc"), "x.nc"),
    ],
)
def test_files_of_a_kind_that_is_not_written_are_refused(command, name, tmp_path):
    done = run(*command, "--out", tmp_path / name)
    assert done.exit_code == 2
    assert not (tmp_path / name).exists()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_app_ends_its_server_when_it_is_ended(number):
    pytest.importorskip("streamlit")
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("these tests were started with the signal ignored, as shells do behind &")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pbpk_hybrid", "app", "--port", str(port), "--quiet"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as parent:
        try:
            assert _answers(port, within=60.0)
            parent.send_signal(number)
            assert parent.wait(20) == 0
            assert not _answers(port, within=0.0)
        finally:
            if parent.poll() is None:
                parent.kill()


def test_a_server_that_does_not_end_is_ended():
    from pbpk_hybrid.cli import webapp

    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        before, webapp.GRACE = webapp.GRACE, 0.2
        try:
            webapp.end(server)
        finally:
            webapp.GRACE = before
        assert server.returncode is not None


def _answers(port: int, within: float) -> bool:
    end = time.monotonic() + within
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.2)


def test_two_runs_do_not_meet_on_the_port_of_dask():
    """8787 is taken here or by somebody else; a cluster starts without a word (warnings are errors)."""
    pytest.importorskip("distributed")
    from pbpk_hybrid.scale.workers import client_of

    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        except OSError:
            pass  # somebody has it already
        with client_of(None, 1) as client:
            assert client.submit(abs, -2).result() == 2
            assert client.scheduler_info()["services"].get("dashboard") != 8787
