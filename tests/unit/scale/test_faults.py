"""Processes are killed, disks fill up, and the store ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.scale import BLOCK, Cohort, simulate_cohort, verify_cohort

N = 6 * BLOCK
COMMAND = [
    sys.executable,
    "-m",
    "pbpk_hybrid",
    "simulate",
    "theophylline",
    "--dose",
    "320 mg oral",
    "--subjects",
    str(N),
    "--seed",
    "7",
    "--times",
    "0,1,6,24",
    "--chunk",
    str(BLOCK),
    "--quiet",
]


def command(path: Path, workers: int) -> list[str]:
    return [*COMMAND, "--workers", str(workers), "--out", str(path)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "x.zarr"
    subprocess.run(command(path, 1), check=True)
    return contents(path)


def contents(path: Path) -> dict[str, bytes]:
    """Every file of numbers; attributes hold the time of making."""
    return {
        str(f.relative_to(path)): f.read_bytes()
        for f in sorted(path.rglob("*"))
        if f.is_file() and f.name[0] != "."
    }


def wait_for_chunks(path: Path, count: int, process) -> None:
    journal, deadline = path.with_name(path.name + ".run"), time.monotonic() + 120
    while len(list(journal.glob("chunk-*.json"))) < count and process.poll() is None:
        assert time.monotonic() < deadline, "no chunk was finished in two minutes"
        time.sleep(0.01)


def test_a_run_killed_at_any_moment_is_finished_by_the_same_command(undisturbed, tmp_path):
    path, chance = tmp_path / "x.zarr", random.Random(1)
    for done in (0, 2, 3):
        process = subprocess.Popen(command(path, 1))
        wait_for_chunks(path, done, process)
        time.sleep(0.2 * chance.random())
        process.kill()
        process.wait()
    subprocess.run(command(path, 1), check=True)
    assert contents(path) == undisturbed
    assert verify_cohort(path) == []


def test_a_killed_worker_costs_nothing_but_time(undisturbed, tmp_path):
    import distributed

    path, killed = tmp_path / "x.zarr", []
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def kill_one(done):
            if not killed:
                pid = next(iter(client.run(os.getpid).values()))
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

        ds = simulate_cohort(
            "theophylline",
            "320 mg oral",
            Cohort(N, seed=7),
            [0.0, 1.0, 6.0, 24.0],
            store=path,
            chunks=BLOCK,
            client=client,
            variability=ph.Variability(),
            progress=kill_one,
        )
    assert killed and (ds["status"].values == 0).all()
    assert contents(path) == undisturbed


def test_a_worker_that_is_lost_leaves_no_warning_behind(undisturbed, tmp_path):
    """Semaphores of a killed process were once reported as leaked when the run ended."""
    psutil = pytest.importorskip("psutil")
    path = tmp_path / "x.zarr"
    process = subprocess.Popen(command(path, 2), stderr=subprocess.PIPE, text=True)
    wait_for_chunks(path, 1, process)
    below = psutil.Process(process.pid).children(recursive=True)
    workers = [c for c in below if "forkserver" in " ".join(c.cmdline()) and not c.children()]
    assert workers
    workers[-1].kill()
    assert process.communicate(timeout=300)[1] == ""
    assert process.returncode == 0
    assert contents(path) == undisturbed


def test_interrupt_stops_with_its_exit_code_and_keeps_finished_chunks(undisturbed, tmp_path):
    path = tmp_path / "x.zarr"
    # a job in the background is started with the interrupt ignored, and hands that down
    process = subprocess.Popen(
        command(path, 1),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for_chunks(path, 1, process)
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "finished chunks are kept" in message
    subprocess.run(command(path, 1), check=True)
    assert contents(path) == undisturbed


def test_a_full_disk_stops_with_a_message_and_the_run_is_finished_when_there_is_room(
    undisturbed, tmp_path
):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted without privileges")
    try:
        path = disk / "x.zarr"
        result = subprocess.run(command(path, 1), capture_output=True, text=True, check=False)
        assert result.returncode == 5 and "disk is full" in result.stderr, result
        assert "Traceback" not in result.stderr
        assert verify_cohort(path) != []
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        subprocess.run(command(path, 1), check=True)
        assert contents(path) == undisturbed
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_second_run_into_the_store_of_a_running_one_is_refused(tmp_path):
    path = tmp_path / "x.zarr"
    first = subprocess.Popen(command(path, 1))
    try:
        wait_for_chunks(path, 1, first)
        second = subprocess.run(command(path, 1), capture_output=True, text=True, check=False)
        if first.poll() is None or second.returncode:
            assert second.returncode == 5 and "another run" in second.stderr
    finally:
        assert first.wait(timeout=120) == 0
    assert np.isfinite(ph.open_results(path)["concentration"]).all()


def test_a_cluster_that_breaks_is_replaced_by_another_one(undisturbed, tmp_path, monkeypatch):
    import contextlib

    from pbpk_hybrid.scale import run

    started, real = [], run.client_of

    @contextlib.contextmanager
    def fragile(client, workers):
        started.append(workers)
        if len(started) == 1:
            raise RuntimeError(
                "Nanny failed to start."
            )  # dask's words when a worker dies while it starts
        with real(client, workers) as active:
            yield active
            if len(started) == 2:
                raise KeyError(
                    "tcp://127.0.0.1:1"
                )  # and when it is lost while the cluster is closed

    monkeypatch.setattr(run, "client_of", fragile)
    path, reported = tmp_path / "x.zarr", []
    simulate_cohort(
        "theophylline",
        "320 mg oral",
        Cohort(N, seed=7),
        [0.0, 1.0, 6.0, 24.0],
        store=path,
        chunks=BLOCK,
        workers=2,
        variability=ph.Variability(),
        progress=reported.append,
    )
    assert len(started) == 2 and sum(reported) == N
    assert contents(path) == undisturbed


def test_a_cluster_that_never_starts_is_reported_with_what_to_do(tmp_path, monkeypatch):
    from pbpk_hybrid._core.errors import StoreError
    from pbpk_hybrid.scale import run

    def broken(client, workers):
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(run, "client_of", broken)
    with pytest.raises(
        StoreError, match=r"could not be kept running .*Nanny failed to start.*same command"
    ):
        simulate_cohort(
            "theophylline",
            "320 mg oral",
            Cohort(N, seed=7),
            [0.0, 1.0],
            store=tmp_path / "x.zarr",
            chunks=BLOCK,
            workers=2,
        )
