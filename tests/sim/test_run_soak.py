"""tools/run_soak goes on behind whatever ends a rig, loses nothing of what came before, and keeps its books.

The rig is made up: each of its seeds is ten simulated seconds, and some end badly.  Runs by itself:
pytest tests/sim/test_run_soak.py
"""
import os
import pathlib
import re
import subprocess
import sys

import pytest

RUN_SOAK = pathlib.Path(__file__).resolve().parents[2] / "tools/run_soak"

FAKE_RIG = f"""#!{sys.executable}
import os, signal, sys, time

def ways(name):
    return os.environ.get(name, "").split()

def tell(*_):
    done = seed - first
    print(f"so far: {{done * 100}} steps, {{done * 10}} simulated seconds\\nfailing seed: {{seed}}", flush=True)
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGABRT)

first = seed = int(sys.argv[2])
end = time.monotonic() + (float(sys.argv[4]) if len(sys.argv) > 4 else 0)
while seed == first or time.monotonic() < end:
    signal.signal(signal.SIGABRT, signal.SIG_IGN if str(seed) in ways("DEAF") else tell)
    if str(seed) in ways("ABORTS"):
        tell()
    time.sleep(1000 if str(seed) in ways("HANGS") + ways("DEAF") else 0.2)
    seed += 1
print(f"seeds {{first}} to {{seed - 1}}, {{(seed - first) * 100}} steps, {{(seed - first) * 10}} simulated seconds")
"""

ROW = re.compile(r"^\| 20\S+ \| \w+ \| raft_sim \| (\d+)-(\d+) \| (\d+) \| (\d+) \| (.*) \|$", re.M)
TOTALS = re.compile(r"^\| raft_sim \| (\d+) \| \d+ \| ([\d.]+) \| (\d+) \| (.*) \|$", re.M)


@pytest.fixture(name="soak")
def make_soak(tmp_path):
    fake = tmp_path / "tests/sim/raft/raft_sim"
    fake.parent.mkdir(parents=True)
    fake.write_text(FAKE_RIG)
    fake.chmod(0o755)

    def soak(*arguments, **ends):
        return subprocess.run([sys.executable, RUN_SOAK, "--build", tmp_path, "--rig", "raft_sim", "--grace-seconds",
                               "1", "--ledger", tmp_path / "ledger.md", *arguments],
                              stdout=subprocess.PIPE, text=True, timeout=60, check=False,
                              env=os.environ | {name: " ".join(map(str, seeds)) for name, seeds in ends.items()})
    soak.ledger = tmp_path / "ledger.md"
    return soak


def rows_of(ledger):
    """From, to, steps, simulated seconds, failing seeds of each run."""
    return ROW.findall(ledger.read_text())


def totals_of(ledger):
    """How many seeds, simulated years, failing ones, and which are open."""
    return TOTALS.search(ledger.read_text()).groups()


def test_a_soak_goes_on_behind_a_signal_and_what_does_not_end(soak):
    done = soak("--seconds", "4", "--seed", "5", ABORTS=[7], HANGS=[9])
    assert done.returncode == 1
    assert "raft_sim: seed 7 FAILED" in done.stdout
    assert "raft_sim: seed 9 FAILED" in done.stdout and "does not end" in done.stdout
    (first, last, steps, simulated, failing), = rows_of(soak.ledger)
    good = int(last) - int(first) + 1 - 2
    assert first == "5" and int(last) >= 9
    assert (int(steps), int(simulated), failing) == (good * 100, good * 10, "7 9")
    seeds, _, failed, still_open = totals_of(soak.ledger)
    assert (int(seeds), failed, still_open) == (good + 2, "2", "7 9")


def test_what_is_mended_is_open_no_more(soak):
    soak("--seconds", "1", "--seed", "5", ABORTS=[5, 6, 7])
    done = soak("--retry", ABORTS=[6])
    assert done.returncode == 1 and "1 failed" in done.stdout
    assert totals_of(soak.ledger)[2:] == ("3", "6")
    done = soak("--retry")
    assert done.returncode == 0
    assert totals_of(soak.ledger)[2:] == ("3", "none")


def test_a_rig_that_says_nothing_ends_the_soak_and_what_came_before_stands(soak):
    done = soak("--seconds", "2", "--seed", "5", ABORTS=[7], DEAF=[8])
    assert done.returncode == 1
    assert "does not end" in done.stdout
    assert rows_of(soak.ledger) == [("5", "7", "200", "20", "7")]


def test_a_soak_begins_behind_the_last_seed(soak):
    soak("--seconds", "1", "--seed", "5")
    soak("--seconds", "1")
    before, after = rows_of(soak.ledger)
    assert int(after[0]) == int(before[1]) + 1


def test_runs_of_another_ledger_are_taken_once(soak, tmp_path):
    other = tmp_path / "other.md"
    soak("--seconds", "1", "--seed", "5")
    soak("--seconds", "1", "--seed", "105", "--ledger", other, ABORTS=[106])
    for _ in range(2):
        assert soak("--take", other).returncode == 0
        assert sorted(row[0] for row in rows_of(soak.ledger)) == ["105", "5"]
        assert totals_of(soak.ledger)[3] == "106"
