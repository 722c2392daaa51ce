"""A process group of this one process, so that what a team says to itself can be tested without starting another."""

import pytest
import torch.distributed as dist


@pytest.fixture
def lone_group():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()
