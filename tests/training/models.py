"""A small model that is trained, and what its tests compare."""

import numpy as np

import tfar
from tfar.training import DensityModel


def make(num_masks=1, optimizer="sgd", seed=1, dist=None, **compile_arguments):
    if dist is None:
        dist = tfar.MADE([6], [8], num_masks=num_masks, num_eval_masks=2, order="random", jit_compile=False)
    model = DensityModel(dist, seed=seed)
    model.compile(optimizer, **{"jit_compile": False, **compile_arguments})
    return model


def weights(model):
    return [np.asarray(v) for v in model.dist.variables]


def assert_weights(left, right, atol=1e-6):
    for a, b in zip(weights(left), weights(right), strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


FIT = {"epochs": 2, "batch_size": 16, "verbose": 0}
