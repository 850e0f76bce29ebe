"""A simulation that a signal ends names its seed and how to run it again, and tools/run_soak goes on behind it.

Runs by itself: RAFT_SIM=build/tests/sim/raft/raft_sim BROKER_SIM=build/tests/sim/drill/broker_sim pytest
tests/sim/test_last_words.py
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

RUN_SOAK = pathlib.Path(__file__).resolve().parents[2] / "tools/run_soak"

# Its seed 7 ends by a signal; all others are good.
FAKE_RIG = """#!/bin/sh
sleep 0.2
if [ "$2" = 7 ]; then
    echo "replay: $0 --seed $2"
    kill -SEGV $$
fi
echo "seeds 1 failed 0 steps 10 simulated 1.5 s in 0.2 s"
"""


def wait_until_caught(process, number):
    """The program has its handler: it is on its way through the seeds."""
    caught = 0
    while not caught >> (number - 1) & 1:
        time.sleep(0.1)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        caught = int(re.search(r"^SigCgt:\s*(\w+)$", status, re.M).group(1), 16)
    time.sleep(0.1)


@pytest.mark.parametrize("rig, options", [("RAFT_SIM", []), ("BROKER_SIM", []), ("BROKER_SIM", ["--with", "rot"])])
@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS])
def test_the_seed_is_named(rig, options, number):
    program = os.environ[rig]
    with subprocess.Popen([program, "--seed", "1", "--seconds", "30", *options], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:
        wait_until_caught(process, number)
        process.send_signal(number)
        output = process.stderr.read()
    assert process.returncode != 0
    seed = re.search(r"^failing seed: (\d+)$", output, re.M).group(1)
    replay = " ".join([program, "--seed", seed, *options])
    assert re.search(rf"^replay: {re.escape(replay)}$", output, re.M)


def soak(tmp_path, *arguments):
    fake = tmp_path / "tests/sim/drill/broker_sim"
    fake.parent.mkdir(parents=True)
    fake.write_text(FAKE_RIG)
    fake.chmod(0o755)
    return subprocess.run([sys.executable, RUN_SOAK, "--build", tmp_path, "--rig", "broker_sim", "--no-ledger",
                           *arguments], stdout=subprocess.PIPE, text=True, timeout=30, check=False)


def test_a_soak_goes_on_behind_a_signal(tmp_path):
    done = soak(tmp_path, "--seconds", "4", "--seed", "5")
    assert done.returncode == 1
    assert "broker_sim: seed 7 FAILED" in done.stdout
    first, last, failed = re.search(r"seeds (\d+) to (\d+), .*, (\d+) failed", done.stdout).groups()
    assert (first, failed) == ("5", "1") and int(last) >= 8
