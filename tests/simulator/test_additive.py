"""Terms added up in one array are torch's own sum and gradients, to the bit."""

import pytest
import torch

from simulator.additive import added

S, ROWS = 700, 30


def leaf(*shape: int) -> torch.Tensor:
    return torch.randn(shape, requires_grad=True)


@pytest.mark.parametrize("heads", [1, 2, 5])
@pytest.mark.parametrize("users", [True, False])
def test_sum_and_gradients_are_torch_s(heads, users):
    torch.manual_seed(heads)
    start, table, dense, weight, other = (
        leaf(*shape) for shape in ((heads,), (ROWS, heads), (S, heads), (heads,), (heads,))
    )
    by, effect = torch.randn(S), torch.randn(S, requires_grad=users)
    row, pull = torch.randint(0, ROWS, (S,)), torch.randn(S, heads)
    ours = added(start, S, (table, row), (dense, None), (weight, by), (other, effect))
    plain = start + table.index_select(0, row) + dense
    plain = plain + by[:, None] * weight + effect[:, None] * other
    leaves = [start, table, dense, weight, other, *([effect] if users else [])]
    one, two = (torch.autograd.grad((each * pull).sum(), leaves) for each in (ours, plain))
    assert torch.equal(ours, plain)
    for own, theirs in zip(one, two, strict=True):
        assert own.shape == theirs.shape
        assert torch.equal(own, theirs)
