"""The commands as a user runs them, with the real sampler."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from bayesnlme.results.fit import load
from bayesnlme.results.status import Status

pytestmark = pytest.mark.slow


def command(*arguments, **options):
    words = [sys.executable, "-m", "bayesnlme", *map(str, arguments)]
    return subprocess.Popen(words, text=True, **options)


def test_demo_then_report(tmp_path):
    folder = tmp_path / "demo"
    short = ["--draws", 20, "--tune", 100, "--chains", 2]
    process = command("demo", "-o", folder, *short, stdout=subprocess.PIPE)
    shown, _ = process.communicate(timeout=300)
    assert process.returncode == 3
    assert "NOT CONVERGED" in shown
    stored = load(folder / "theophylline.nc")
    assert stored.posterior.sizes["draw"] == 20
    assert stored.status is Status.NOT_CONVERGED
    assert "Not converged" in (folder / "theophylline.html").read_text()
    again = command("report", folder / "theophylline.nc", "-o", tmp_path / "again.html")
    assert again.wait(timeout=300) == 0
    assert "Not converged" in (tmp_path / "again.html").read_text()


def test_ctrl_c_keeps_the_draws_so_far(files, tmp_path):
    messages = tmp_path / "messages"
    with messages.open("w") as stream:
        process = command(
            *("fit", *files, "-o", tmp_path, "--draws", 20_000, "--tune", 100, "--chains", 2),
            stderr=stream,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"TTY_COMPATIBLE": "1", "COLUMNS": "120"},
        )
        wait_until_drawn(process, messages, 600)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) == 130
    stored = load(tmp_path / "theo.nc")
    assert stored.status is Status.INTERRUPTED
    assert 10 < stored.posterior.sizes["draw"] < 20_000
    assert "Interrupted" in (tmp_path / "theo.html").read_text()


def wait_until_drawn(process, messages, wanted):
    """Wait until the progress bar has counted so many draws."""
    for _ in range(1200):
        counted = re.findall(r"(\d+)/40200", messages.read_text())
        if counted and int(counted[-1]) >= wanted:
            return
        assert process.poll() is None, messages.read_text()
        time.sleep(0.25)
    raise AssertionError(messages.read_text())
