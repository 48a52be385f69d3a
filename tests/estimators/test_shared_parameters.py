"""The MLPs and the estimators of any network repeat parameters: they agree on them."""

import inspect
import re

import pytest

from skopt_dl import MLPClassifier, MLPRegressor, NeuralNetClassifier, NeuralNetRegressor

PAIRS = [(MLPClassifier, NeuralNetClassifier), (MLPRegressor, NeuralNetRegressor)]


def described(cls, section):
    """The entries of a section of a docstring, by name."""
    text = inspect.getdoc(cls).split(f"{section}\n{'-' * len(section)}\n")[1]
    text = re.split(r"\n\n[A-Z][\w ]+\n-+\n", text)[0]
    entries = re.split(r"\n(?=\S)", text)
    return {entry.split(" : ")[0]: " ".join(entry.split()) for entry in entries}


@pytest.mark.parametrize(("perceptron", "general"), PAIRS)
def test_shared_parameters_have_one_default_and_one_place(perceptron, general):
    ours, theirs = (dict(inspect.signature(cls).parameters) for cls in (general, perceptron))
    shared = [name for name in ours if name in theirs]
    assert len(shared) > 18
    assert {name: ours[name].default for name in shared} == {
        name: theirs[name].default for name in shared
    }
    assert shared == [name for name in theirs if name in ours]


@pytest.mark.parametrize("section", ["Parameters", "Attributes"])
@pytest.mark.parametrize(("perceptron", "general"), PAIRS)
def test_shared_parameters_and_attributes_are_described_alike(perceptron, general, section):
    ours, theirs = described(general, section), described(perceptron, section)
    # FromFitted is for dense layers alone.
    shared = (ours.keys() & theirs.keys()) - {"init"}
    assert len(shared) > 14
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


@pytest.mark.parametrize("cls", [cls for pair in PAIRS for cls in pair])
def test_every_parameter_is_described_with_its_default(cls):
    parameters = described(cls, "Parameters")
    assert list(parameters) == list(inspect.signature(cls).parameters)
