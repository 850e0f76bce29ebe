"""Fixtures: one shared three-broker cluster for tests that leave it whole, and a factory for the others."""
import contextlib
import gc
import pathlib
import shutil
import sys
import traceback

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from cluster import Cluster  # noqa: E402


def forget_locals(trace):
    """Lets go of what the frames of a failed test hold: its clients would live on for as long as the run."""
    traceback.clear_frames(trace)
    for frame, _ in traceback.walk_tb(trace):
        frame.f_locals  # the frame's dictionary of them, made for the report, follows only when asked for
    gc.collect()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + outcome.get_result().when, outcome.get_result())
    if call.excinfo is not None:  # the report is text by now
        forget_locals(call.excinfo.tb)


def show_logs(cluster):
    for broker in cluster.brokers.values():
        print(f"---- broker {broker.number}\n{broker.log()[-6000:]}")


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("shared"))
    try:
        yield cluster.start()
    finally:
        show_logs(cluster)
        cluster.end()


@pytest.fixture
def make_cluster(tmp_path, request):
    clusters = []

    def make(**options):
        directory = tmp_path / f"cluster{len(clusters)}"
        directory.mkdir()
        clusters.append(Cluster(directory, **options))
        return clusters[-1]

    yield make
    failed = getattr(request.node, "report_call", None)
    with contextlib.ExitStack() as ends:  # every cluster is ended, even when the end of one fails
        for cluster in clusters:
            if failed is None or failed.failed:
                show_logs(cluster)
            ends.callback(shutil.rmtree, cluster.directory, ignore_errors=True)
            ends.callback(cluster.end)


@pytest.fixture
def topic_name(request):
    """A name of this test's own."""
    import re
    return re.sub(r"[^a-zA-Z0-9._-]", "-", request.node.name)[:200]
