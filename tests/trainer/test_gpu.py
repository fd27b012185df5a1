"""What is told of GPUs."""

import pytest
import torch

from training_image.trainer import gpu


def test_a_cpu_has_nothing_to_tell() -> None:
    gpu.reset_peak()

    assert gpu.measured() == {}


def test_memory_is_told_where_utilization_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable() -> int:
        raise ModuleNotFoundError("pynvml does not seem to be installed")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 12_345_678_901)
    monkeypatch.setattr(torch.cuda, "utilization", unreadable)

    assert gpu.measured() == {"gpu_memory_gb": 12.35}
