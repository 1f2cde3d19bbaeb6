"""What covariates say of users' effects before anything is seen of them: the mean of their prior.

effect of a user = covariates of the user · coefficients + the user's own, all with Gaussian priors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from simulator.covariates import Covariates

COEFFICIENTS = "_coefficients"
"""What a parameter's name ends with that multiplies covariates."""


@dataclass(frozen=True)
class UsersPrior:
    """Covariates that tell something of users' effects, and how much.

    While they are fitted, coefficients are in units of their widths, and of the columns that are
    used (D of C) alone.
    """

    covariates: Covariates
    widths: Mapping[str, np.ndarray]
    """By effect, standard deviations of the coefficients (C,) float32; 0: not used."""
    coefficients: Mapping[str, np.ndarray]
    """By effect, (C,) or for styles (C, 16) float32."""

    def mean(self, effect: str) -> np.ndarray:
        """Prior means of an effect of the users (U,) or (U, 16) float32; only of those told of."""
        return self._columns.numpy() @ self.coefficients[effect][self._used]

    def own(self, whole: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Users' own parts of their effects, by name; only of those told of."""
        return {effect: whole[effect] - self.mean(effect) for effect in self.coefficients}

    def as_fitted(self, heads: Mapping[str, np.ndarray]) -> UsersPrior:
        """With the coefficients that heads were fitted with."""
        return replace(
            self, coefficients={effect: heads[effect + COEFFICIENTS] for effect in self.widths}
        )

    def over(self, covariates: Covariates) -> UsersPrior:
        """The same said of other users."""
        return replace(self, covariates=covariates)

    def shares(self, own: Mapping[str, float]) -> dict[str, dict[str, float]]:
        """By group of covariates that tell something, and effect: the share of the effect's
        variance over users that follows from the group, on average over the styles that were
        sent. own: standard deviation of users' own parts by effect."""
        out: dict[str, dict[str, float]] = {}
        for effect, coefficients in self.coefficients.items():
            each = coefficients.reshape(len(coefficients), -1)
            each = each[:, each.any(0)]
            whole = (self.covariates.columns @ each).var(0) + own[effect] ** 2
            for group, name in enumerate(self.covariates.names):
                some = self.covariates.group == group
                if self.widths[effect][some].any():
                    told = (self.covariates.columns[:, some] @ each[some]).var(0)
                    out.setdefault(name, {})[effect] = float((told / whole).mean())
        return out

    def begun(self, whole: Mapping[str, torch.Tensor], warm: bool) -> dict[str, torch.Tensor]:
        """Parameters to fit: the coefficients, and beside them users' own parts, which are those
        of their effects so far where the fit is `warm`."""
        out = {}
        for effect, coefficients in self.coefficients.items():
            width = self._width(effect)
            begin = torch.from_numpy(coefficients[self._used])
            scaled = torch.where(width > 0, begin / width.clamp_min(1e-9), 0.0)
            out[effect + COEFFICIENTS] = scaled.requires_grad_()
            if warm:
                own = whole[effect].detach() - torch.from_numpy(self.mean(effect))
                out[effect] = own.requires_grad_()
        return out

    def added(self, parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Whole effects of the users by name, from parameters that are being fitted."""
        return {
            effect: parameters[effect] + self._columns @ self._unscaled(parameters, effect)
            for effect in self.coefficients
        }

    def fitted(self, parameters: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
        """Coefficients by name, in the effects' units, from parameters that were fitted."""
        out = {}
        for effect, begin in self.coefficients.items():
            out[effect + COEFFICIENTS] = np.zeros_like(begin)
            out[effect + COEFFICIENTS][self._used] = self._unscaled(parameters, effect).numpy()
        return out

    def _unscaled(self, parameters: Mapping[str, torch.Tensor], effect: str) -> torch.Tensor:
        return self._width(effect) * parameters[effect + COEFFICIENTS]

    def _width(self, effect: str) -> torch.Tensor:
        width = torch.from_numpy(self.widths[effect][self._used])
        return width[:, None] if self.coefficients[effect].ndim > 1 else width

    @cached_property
    def _used(self) -> np.ndarray:
        return np.flatnonzero(np.any(list(self.widths.values()), 0))

    @cached_property
    def _columns(self) -> torch.Tensor:
        """(U, D)"""
        return torch.from_numpy(np.ascontiguousarray(self.covariates.columns[:, self._used]))
