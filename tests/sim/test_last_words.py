"""A simulation that a signal ends names its seed, how to run it again, and what it had run through before.

Runs by itself: RAFT_SIM=build/tests/sim/raft/raft_sim BROKER_SIM=build/tests/sim/drill/broker_sim pytest
tests/sim/test_last_words.py
"""
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest


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


def test_what_came_before_is_told():
    program = os.environ["RAFT_SIM"]
    with subprocess.Popen([program, "--seed", "1", "--seconds", "30"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:
        wait_until_caught(process, signal.SIGABRT)
        time.sleep(0.5)
        process.send_signal(signal.SIGABRT)
        output = process.stderr.read()
    told = re.search(r"^so far: (\d+ steps, \d+ simulated seconds)$", output, re.M).group(1)
    seed = int(re.search(r"^failing seed: (\d+)$", output, re.M).group(1))
    assert seed > 1
    done = subprocess.run([program, "--seed", "1", "--seeds", str(seed - 1)], stdout=subprocess.PIPE, text=True,
                          check=True)
    assert f"seeds 1 to {seed - 1}, {told}," in done.stdout
