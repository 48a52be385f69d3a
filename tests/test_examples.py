"""Every example runs, shortened, and leaves what it says it leaves."""

import importlib.util
import warnings
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_grid_search_prints_a_table_and_saves_a_figure(tmp_path, capsys, monkeypatch):
    example = load("grid_search_over_optimizers")
    assert len(example.LEARNING_RATES) >= 8
    assert "lion" in example.LEARNING_RATES
    fewer = {name: rates[1:3] for name, rates in example.LEARNING_RATES.items()}
    monkeypatch.setattr(example, "LEARNING_RATES", fewer)
    # A script may filter warnings for good.
    with warnings.catch_warnings():
        picture = tmp_path / "readme" / "picture.png"
        options = ["--output", str(tmp_path), "--picture", str(picture)]
        path = example.main(["--epochs", "5", "--folds", "2", *options])
    printed = capsys.readouterr().out
    for figure in (path, picture):
        assert figure.read_bytes().startswith(b"\x89PNG")
        assert str(figure) in printed
    table = printed[printed.index("optimizer ") :].splitlines()[1 : len(fewer) + 1]
    assert {line.split()[0] for line in table} == set(fewer)
    accuracies = [float(line.split()[2]) for line in table]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > 0.9


def test_convolutional_network_is_compared_with_a_perceptron(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = load("convolutional_network_on_digits").main(["--epochs", "12", "--folds", "2"])
    assert min(best["convolutional"], best["perceptron"]) > 0.9
    printed = capsys.readouterr().out
    assert all(name in printed for name in best)
