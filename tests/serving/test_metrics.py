"""Figures that workers share."""

import os
import subprocess
import sys

from prometheus_client import values

from serving.metrics import DIRECTORY, Metrics


def test_a_worker_that_died_leaves_no_fault_behind(shop, tmp_path, monkeypatch):
    monkeypatch.setenv(DIRECTORY, str(tmp_path / "figures"))
    (tmp_path / "figures").mkdir()
    says = [sys.executable, "-c", "import os; print(os.getpid())"]
    gone = int(subprocess.run(says, check=True, capture_output=True).stdout)
    monkeypatch.setattr(values, "ValueClass", values.MultiProcessValue(lambda: gone))
    Metrics().store_fault.set(1)
    monkeypatch.setattr(values, "ValueClass", values.MultiProcessValue(os.getpid))
    assert b"pushwise_store_fault 1.0" in Metrics().text()
    with shop.server(shop.policy("p")) as client:
        assert "pushwise_store_fault 0.0" in client.get("/metrics").text
