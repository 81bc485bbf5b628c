import pytest

import job


def test_the_sum_and_the_address_of_a_task():
    assert job.work(["0"], [1, 2, 3]) == ("0", 6)
    assert job.work(["0", "1"], []) == ("0,1", 0)


def test_a_task_without_a_gpu_fails():
    with pytest.raises(RuntimeError, match="no GPU"):
        job.work([], [1])
