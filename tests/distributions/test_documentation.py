"""`help` of every public attribute of a distribution describes what tfar does, not what distributions do in general."""

import inspect

import pytest
import tensorflow_probability as tfp

import tfar

CLASSES = [getattr(tfar, name) for name in tfar.distributions.__all__]
# Machinery of tf.Module and TFP, which tfar neither changes nor asks anyone to use.
MACHINERY = {
    "experimental_default_event_space_bijector",
    "experimental_fit",
    "experimental_local_measure",
    "experimental_shard_axis_names",
    "name_scope",
    "param_shapes",
    "param_static_shapes",
    "parameter_properties",
    "submodules",
    "with_name_scope",
}


def public(cls: type) -> list[str]:
    return [name for name in dir(cls) if not name.startswith("_") and name not in MACHINERY and hasattr(cls, name)]


def faults(cls: type, name: str) -> str | None:
    """What is wrong with the docstring of an attribute, or None."""
    attribute = inspect.getattr_static(cls, name)
    doc = inspect.getdoc(getattr(cls, name))
    if not doc or (inspect.isfunction(attribute) and not attribute.__doc__):
        return "missing"
    generic = inspect.getdoc(getattr(tfp.distributions.Distribution, name, None))
    if hasattr(tfp.distributions.Distribution, name) and generic and generic in doc:
        return "that of TFP"
    if inspect.isfunction(attribute):
        arguments = [p.name for p in inspect.signature(attribute).parameters.values() if p.name != "self"]
        if unnamed := [argument for argument in arguments if argument not in doc]:
            return f"no word of {unnamed}"
    return None


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_public_attribute_has_a_docstring_of_its_own(cls):
    assert {name: fault for name in public(cls) if (fault := faults(cls, name))} == {}


def test_the_machinery_is_that_of_tensorflow():
    for name in MACHINERY:
        owner = next(cls for cls in tfar.MADE.__mro__ if name in vars(cls))
        assert owner.__module__.startswith("tensorflow")


def test_a_generic_docstring_is_found():
    class Plain(tfp.distributions.Distribution):
        def bare(self):
            pass

    assert faults(Plain, "mean") == "that of TFP"
    assert faults(Plain, "kl_divergence") == "that of TFP"  # TFP copies this function into every class.
    assert faults(Plain, "bare") == "missing"


@pytest.mark.parametrize(
    "name", ["mean", "variance", "stddev", "covariance", "mode", "entropy", "quantile", "cdf", "log_cdf"]
    + ["survival_function", "log_survival_function", "cross_entropy", "kl_divergence"],
)  # fmt: skip
def test_a_statistic_without_a_closed_form_names_the_way(name):
    dist = tfar.MADE([2], [4])
    takes_value = {"quantile": 0.5, "cross_entropy": dist, "kl_divergence": dist}
    needs = name in takes_value or "cdf" in name or "survival" in name
    arguments = [takes_value.get(name, [0.0, 1.0])] if needs else []
    with pytest.raises(NotImplementedError, match=r"no closed form.*sample"):
        getattr(dist, name)(*arguments)
    assert "has no closed form" in inspect.getdoc(getattr(tfar.MADE, name)).lower()
