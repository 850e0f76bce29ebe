"""The fault disk itself: what a power cut leaves of names that were changed and not synced."""
import os
import subprocess
import sys

import pytest

from cluster import BUILD, wait_for

# The C library's calls under the names by which a broker calls them (files are large: open64).
WORKER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, AT_REMOVEDIR = -100, 0x200

def check(result):
    assert result >= 0, os.strerror(ctypes.get_errno())
    return result

def make(path):
    file = check(libc.open64(path, os.O_RDWR | os.O_CREAT, 0o600))
    check(libc.fsync(file))
    os.close(file)

def sync(path):
    directory = check(libc.open64(path, os.O_RDONLY | os.O_DIRECTORY))
    check(libc.fsync(directory))
    os.close(directory)

def make_directory(path):
    check(libc.mkdir(path, 0o700))

def rename(old, new):
    check(libc.rename(old, new))

def remove(path):
    check(libc.unlink(path))

def remove_directory(path):
    check(libc.unlinkat(AT_FDCWD, path, AT_REMOVEDIR))

os.chdir("/")
top = os.environb[b"FAULT_DISK_DIRECTORY"]
make_directory(top + b"/a")
make(top + b"/a/old")
sync(top + b"/a")
sync(top)
SCENARIO
print("done", flush=True)
sys.stdin.read()
"""

# What is done after a/old is durable, and what a cut with seed 0 leaves.
SCENARIOS = {
    "removed-with-its-directory": ("""
remove(top + b"/a/old")
remove_directory(top + b"/a")
""", {"a": None, "a/old": 0}),
    "removed-and-the-removal-synced": ("""
remove(top + b"/a/old")
remove_directory(top + b"/a")
sync(top)
""", {}),
    "removed-and-made-anew": ("""
remove(top + b"/a/old")
remove_directory(top + b"/a")
make_directory(top + b"/a")
sync(top)
make(top + b"/a/old")
""", {"a": None}),
    "renamed-after-a-change-inside": ("""
make(top + b"/a/new")
remove(top + b"/a/old")
rename(top + b"/a", top + b"/b")
sync(top)
""", {"b": None, "b/old": 0}),
    "a-tree-removed-after-it-was-renamed": ("""
make_directory(top + b"/a/c")
make(top + b"/a/c/new")
rename(top + b"/a", top + b"/b")
sync(top)
remove(top + b"/b/c/new")
remove_directory(top + b"/b/c")
remove(top + b"/b/old")
remove_directory(top + b"/b")
""", {"b": None, "b/old": 0}),
    "replaced": ("""
make(top + b"/a/old.new")
rename(top + b"/a/old.new", top + b"/a/old")
""", {"a": None, "a/old": 0}),
}


def tree(directory):
    return {str(path.relative_to(directory)): None if path.is_dir() else path.stat().st_size
            for path in directory.rglob("*")}


def run(tmp_path, scenario, seed):
    directory = tmp_path / f"disk{seed}"
    control = tmp_path / f"control{seed}"
    log = tmp_path / f"control{seed}.log"
    directory.mkdir()
    os.mkfifo(control)
    environment = {**os.environ, "LD_PRELOAD": str(BUILD / "tests/integration/fault_disk.so"),
                   "FAULT_DISK_DIRECTORY": str(directory), "FAULT_DISK_CONTROL": str(control)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER.replace("SCENARIO", scenario)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    try:
        assert worker.stdout.readline() == b"done\n", log.read_text()
        with open(os.open(control, os.O_WRONLY | os.O_NONBLOCK), "w") as orders:
            orders.write(f"cut {seed}\n")
        wait_for(lambda: worker.poll() is not None, "the worker ends")
        assert worker.returncode == -9, log.read_text()
    finally:
        worker.kill()
        worker.communicate()
    return tree(directory)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_power_cut_undoes_names(tmp_path, name):
    scenario, left = SCENARIOS[name]
    assert run(tmp_path, scenario, 0) == left
    for seed in range(1, 12):
        run(tmp_path, scenario, seed)  # any part of the changes: the cut itself must go well
