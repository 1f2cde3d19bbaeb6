"""Sums of many terms at each push, in one array; torch makes and derives one array for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mdp.compiled import njit

Term = tuple[torch.Tensor, torch.Tensor | None]
"""Weights (H,) and what they multiply (S,); or a table (n, H) and which of its rows (S,) int64; or
what is to be added (S, H) and None."""


def added(start: torch.Tensor, pushes: int, *terms: Term) -> torch.Tensor:
    """`start` (H,) and all terms added up, one after the other (S, H) float32.

    The sum and its gradients are those of torch's own operations, to the bit.
    """
    out: torch.Tensor = _Added.apply(start, pushes, *(each for term in terms for each in term))
    return out


class _Added(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, start: torch.Tensor, pushes: int, *flat: Any) -> torch.Tensor:
        ctx.save_for_backward(*flat)
        out = start.detach()[:, None].repeat(1, pushes)  # compiled loops are over the pushes
        for value, by in zip(flat[::2], flat[1::2], strict=True):
            if by is None:
                out += value.T
            else:
                add = _add_products if by.is_floating_point() else _add_rows
                add(out.numpy(), _array(value), _array(by))
        return out.T.contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (gradient,) = gradients
        gradient = gradient.contiguous()
        flat, needed = ctx.saved_tensors, ctx.needs_input_grad
        out: list[torch.Tensor | None] = [gradient.sum(0) if needed[0] else None, None]
        for number in range(0, len(flat), 2):
            value, by = flat[number : number + 2]
            of_value, of_by = needed[number + 2 : number + 4]
            out.append(_of_value(gradient, value, by) if of_value else None)
            out.append((gradient * value).sum(1) if of_by else None)
        return tuple(out)


def _of_value(gradient: torch.Tensor, value: torch.Tensor, by: torch.Tensor | None) -> torch.Tensor:
    if by is None:
        return gradient
    if by.is_floating_point():
        if gradient.shape[1] == 1:
            return (gradient * by[:, None]).sum(0)
        product = torch.empty_like(gradient)
        _products(gradient.numpy(), _array(by), product.numpy())
        return product.sum(0)
    out = torch.zeros(value.shape)
    _sum_rows(gradient.numpy(), _array(by), out.numpy())
    return out


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


@njit(cache=True, nogil=True)
def _add_rows(out: np.ndarray, table: np.ndarray, row: np.ndarray) -> None:
    for head in range(out.shape[0]):
        for push in range(out.shape[1]):
            out[head, push] += table[row[push], head]


@njit(cache=True, nogil=True)
def _add_products(out: np.ndarray, weight: np.ndarray, by: np.ndarray) -> None:
    for head in range(out.shape[0]):
        for push in range(out.shape[1]):
            out[head, push] += by[push] * weight[head]


@njit(cache=True, nogil=True)
def _products(gradient: np.ndarray, by: np.ndarray, out: np.ndarray) -> None:
    for push in range(out.shape[0]):
        for head in range(out.shape[1]):
            out[push, head] = gradient[push, head] * by[push]


@njit(cache=True, nogil=True)
def _sum_rows(gradient: np.ndarray, row: np.ndarray, out: np.ndarray) -> None:
    for push in range(gradient.shape[0]):
        for head in range(out.shape[1]):
            out[row[push], head] += gradient[push, head]
