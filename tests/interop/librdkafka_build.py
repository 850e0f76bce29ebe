"""Builds the newest librdkafka and its tests, below build-interop/, from the sources that the npm package
@confluentinc/kafka-javascript carries."""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

HOME = pathlib.Path(__file__).resolve().parent.parent.parent / "build-interop"
PACKAGE = "@confluentinc/kafka-javascript@1.10.1"
SOURCE = HOME / "librdkafka"
TESTS = SOURCE / "tests"
INSTALLED = SOURCE / "installed"
LIBRARY_PATH = f"{SOURCE}/src:{SOURCE}/src-cpp"
JOBS = os.environ.get("JOBS") or str(os.cpu_count() or 1)
UNREACHABLE = re.compile(r"ENOTFOUND|ETIMEDOUT|ECONNREFUSED|EAI_AGAIN")


def run(command, folder):
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace")


def fetch():
    """Unpacks the sources; why they could not be had, or None."""
    if SOURCE.exists():
        return None
    if shutil.which("npm") is None:
        return "this machine has no npm"
    packed = run(["npm", "pack", "--silent", PACKAGE], HOME)
    if packed.returncode != 0:
        if UNREACHABLE.search(packed.stderr):
            return f"the npm registry cannot be reached: {packed.stderr[-200:]}"
        raise RuntimeError(f"npm pack {PACKAGE}: {packed.stderr[-1000:]}")
    unpacked = HOME / "librdkafka.unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(HOME / packed.stdout.split()[-1]) as archive:
        archive.extractall(unpacked)
    (unpacked / "package/deps/librdkafka").rename(SOURCE)
    shutil.rmtree(unpacked)
    return None


def build():
    """None when all is built, or why it can't be; raises when the build itself fails."""
    HOME.mkdir(exist_ok=True)
    with open(HOME / "librdkafka.lock", "w") as lock:  # both targets and three clients build it
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build_locked()


def build_locked():
    trouble = fetch()
    if trouble or (TESTS / "test-runner").exists():
        return trouble
    for command in (["./configure", "--disable-gssapi", f"--prefix={INSTALLED}"], ["make", f"-j{JOBS}", "libs"],
                    ["make", "-C", "src", "install"], ["make", "-C", "src-cpp", "install"],
                    ["make", "-C", "tests", f"-j{JOBS}", "test-runner"]):
        result = run(command, SOURCE)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {(result.stdout + result.stderr)[-3000:]}")
    return None


if __name__ == "__main__":
    said = build()
    if said:
        sys.exit(said)
