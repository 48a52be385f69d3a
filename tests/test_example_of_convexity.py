"""The example about convexity runs, shortened, and finds what it is about."""

import importlib.util
import re
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "why_networks_are_not_convex.py"

# Here, since importing SciPy changes the filters of warnings.
spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)


def test_the_linear_model_is_convex_and_the_network_is_not(tmp_path, capsys):
    path = example.main(["--units", "3", "--chords", "100", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in printed
    assert "linear model: the loss lies above 0 of 100 chords" in printed
    n_above = re.search(r"network: the loss lies above (\d+) of 100", printed).group(1)
    assert int(n_above) > 5
    rows = [line.split() for line in printed.splitlines() if "weights" in line and "e-" in line]
    smallest = {"linear": [], "network": []}
    for row in rows:
        smallest.get(row[0], []).append(float(row[-3]))
    assert min(smallest["linear"]) > 0 > min(smallest["network"])
    assert "linear model: convexity proved" in printed
    assert "network: convexity refuted" in printed
