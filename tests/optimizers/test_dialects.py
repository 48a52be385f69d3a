"""Optimizers of other libraries, against where the libraries' own end: see tests/references."""

import dialect_matrix
import numpy as np
import pytest
from dialect_matrix import CASES, REFERENCES, deviations, published, table

from skopt_dl.objectives import Layout
from skopt_dl.optimizers import SGD, AdamW, Nesterov, TwoSlotOptimizer, like
from skopt_dl.optimizers.dialects import DIALECTS
from skopt_dl.schedules import InverseScaling, ReduceOnPlateau

TOLERANCE = 1e-12
FORMS = [f"{library}.{name}" for library, each in DIALECTS.items() for name in each.forms]


def test_every_form_ends_where_that_of_its_library_does():
    found = zip(CASES, deviations(), strict=True)
    too_large = [
        (case["name"], case["arguments"], case["scheduled"], by)
        for case, by in found
        if not by <= TOLERANCE
    ]
    assert not too_large


def test_published_matrix_is_what_is_computed():
    assert published().strip() == table().strip()


def test_every_form_has_a_reference_for_its_defaults_and_one_with_a_schedule():
    for scheduled in (False, True):
        without = {"learning_rate"}
        given = {
            case["name"]
            for case in CASES
            if case["scheduled"] is scheduled and set(case["arguments"]) <= without
        }
        assert given == set(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_arguments_and_defaults_are_the_library_s(name):
    library, _, inside = name.partition(".")
    dialect, theirs = DIALECTS[library], REFERENCES["signatures"][name]
    form = dialect.forms[inside]
    own = dialect_matrix.defaults(form.make)
    ours = own | {argument: only.value for argument, only in form.only.items()}
    for argument, default in ours.items():
        expected = theirs[argument]
        assert default == (tuple(expected) if isinstance(expected, list) else expected), argument
    if library != "sklearn":  # its parameters are those of the whole MLP
        assert set(theirs) - set(ours) <= set(dialect.without_effect)


def test_recipe_of_torch_is_translated():
    optimizer = like("torch.SGD", lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    assert isinstance(optimizer, Nesterov)
    assert repr(optimizer) == repr(Nesterov(0.1, 0.9, l2=5e-4))
    assert repr(like("torch.optim.AdamW", fused=True)) == repr(AdamW())
    assert repr(like("torch.SGD", lr=0.1)) == repr(SGD(0.1))


def test_schedules_of_scikit_learn_are_translated():
    assert isinstance(like("sklearn.sgd", learning_rate="adaptive").learning_rate, ReduceOnPlateau)
    falling = like("sklearn.sgd", learning_rate="invscaling", power_t=0.3, momentum=0)
    assert isinstance(falling, SGD)
    assert repr(falling.learning_rate) == repr(InverseScaling(0.001, power=0.3))


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "words"),
    [
        ("SGD", {}, ValueError, "needs a library and its class … 'SGD' … torch, keras, optax"),
        ("pytorch.SGD", {}, ValueError, "'pytorch.SGD' … Did you mean 'torch'?"),
        ("torch.sgd", {}, ValueError, "no 'sgd' of torch … SGD, Adagrad … Did you mean 'SGD'?"),
        ("torch.LBFGS", {}, ValueError, "make_optimizer('lbfgs')"),
        ("torch.SGD", {"learning_rate": 1}, TypeError, "no argument 'learning_rate' … lr, mom"),
        ("keras.Adam", {"lr": 1}, TypeError, "'lr' … Did you mean 'learning_rate'?"),
        ("optax.sgd", {}, TypeError, "no default for learning_rate"),
        ("optax.adadelta", {}, ValueError, "optax.adadelta with its defaults … climbs … =1.0"),
        ("optax.amsgrad", {"learning_rate": 1, "bias_correction_mu": False}, ValueError, "alike"),
        ("torch.SGD", {"dampening": 0.1}, ValueError, "dampening=0.1 has no equal … dampening=0."),
        ("torch.SGD", {"nesterov": True}, ValueError, "nesterov=True needs a momentum above 0"),
        ("torch.Adam", {"maximize": True}, ValueError, "Minimise the negative."),
        ("torch.Adam", {"betas": 0.9}, ValueError, "betas must be two numbers … got 0.9"),
        ("torch.SGD", {"lr": -1}, ValueError, "torch.SGD with lr=-1: learning_rate of SGD must"),
        ("keras.Adam", {"clipnorm": 1.0}, ValueError, "max_grad_norm"),
        ("sklearn.sgd", {"learning_rate": 0.1}, ValueError, "The number is learning_rate_init."),
    ],
)
def test_what_has_no_equal_is_refused_with_what_to_do(name, arguments, kind, words):
    with pytest.raises(kind) as caught:
        like(name, **arguments)
    for each in words.split(" … "):
        assert each in str(caught.value)


def test_arguments_without_effect_and_at_their_only_value_are_taken():
    assert repr(like("torch.SGD", foreach=True, dampening=0, maximize=False)) == repr(SGD(0.001))
    assert repr(like("keras.SGD", name="mine", clipnorm=None)) == repr(SGD(0.01))


def test_penalty_and_shrinkage_are_apart_from_the_rule():
    class Bare(TwoSlotOptimizer):
        def __init__(self, learning_rate=0.1):
            self.learning_rate = learning_rate

    assert Bare().decays == SGD().decays == ()
    assert len(SGD(l2=0.1, weight_decay=0.2).decays) == 2
    assert np.isnan(SGD(l2=0.1).stability_limit())
    assert SGD().slot_shapes(Layout.from_shapes([("w", "hidden", (2, 2))])) == {}
