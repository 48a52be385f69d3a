"""What a comparison takes for a table, and what it says of others."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_wine

from skopt_dl.comparing import TableError
from skopt_dl.comparing.data import SHIPPED, load


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Call to write a CSV file; returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="table.csv"):
        (tmp_path / name).write_text(text)
        return name

    return write


SOUND = "a,b,kind\n" + "1,2.5,x\n2,3,y\n3,1,x\n4,0,y\n"


@pytest.mark.parametrize("name", SHIPPED)
def test_data_of_scikit_learn_are_known_by_name(name):
    data = load(name)
    assert data.task == ("regression" if name == "diabetes" else "classification")
    assert len(data.X) == len(data.y) > 100


def test_column_of_a_file_is_the_target_and_the_others_are_features(written):
    data = load(written(SOUND), "kind")
    assert data.name == "table"
    assert data.X.tolist() == [[1, 2.5], [2, 3], [3, 1], [4, 0]]
    assert data.y.tolist() == [0, 1, 0, 1]


def test_parquet_is_read_too(written, tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pd.read_csv(written(SOUND)).to_parquet(tmp_path / "table.parquet")
    assert load("table.parquet", "kind").X.shape == (4, 2)


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.arange(60) % 3, "classification"),
        (np.arange(60) % 3 * 1.0, "classification"),
        (np.arange(60) % 2 == 0, "classification"),
        (np.array(["a", "b"] * 30), "classification"),
        (np.arange(60), "regression"),
        (np.arange(60) % 3 + 0.5, "regression"),
    ],
)
def test_task_follows_from_the_target(y, task):
    X = np.random.default_rng(0).normal(size=(60, 2))
    assert load((X, y)).task == task


def test_task_can_be_said():
    X, y = load_wine(return_X_y=True)
    assert load((X, y), task="regression").n_classes == 0


BAD_FILES = {
    "no such column": (
        SOUND,
        "kin",
        "no column 'kin'. Did you mean 'kind'? It has 'a', 'b', 'kind'",
    ),
    "no target said": (SOUND, None, "Say --target, for example --target 'kind'. It has 'a'"),
    "text": ("a,t,y\n1,u,0\n2,v,1\n", "y", "no numbers: 't'. Encode them, pandas.get_dummies"),
    "missing": ("a,b,y\n1,,0\n,2,1\n1,2,0\n", "y", "(NaN) in a (1), b (1). Fill them"),
    "infinite": ("a,y\n1,0\ninf,1\n2,0\n3,1\n", "y", "infinite values in a (1)"),
    "missing target": ("a,y\n1,0\n2,\n", "y", "missing in 1 row of table.csv. Drop them"),
    "one class": ("a,y\n1,0\n2,0\n", "y", "has one class, 0: there is nothing to tell apart"),
    "single sample": ("a,y\n1,u\n2,v\n3,v\n4,v\n", "y", "a single sample of 'u'"),
    "many classes": ("a,y\n1,u\n2,v\n3,w\n", "y", "3 classes for 3 samples"),
    "no features": ("y\n0\n1\n", "y", "no column besides 'y'"),
    "empty": ("", "y", "cannot be read as csv: No columns"),
    "dates": ("a,d,y\n1,2020-01-01,0\n2,2020-01-02,1\n", "y", "no numbers: 'd'"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_table_is_answered_with_what_to_do(name, written):
    text, target, message = BAD_FILES[name]
    with pytest.raises(TableError) as caught:
        load(written(text), target)
    assert message in str(caught.value)


BAD_CALLS = {
    "unknown name": (("wines",), "Did you mean 'wine'? Pass a CSV or parquet file, or one of"),
    "target of a shipped one": (("wine", "y"), "leave out --target"),
    "unknown task": (("wine", None, "ranking"), "'classification' or 'regression'; got 'ranking'"),
    "no table": ((([1, 2], [0, 1]),), "X must be a table, (n_samples, n_features); got shape (2,)"),
    "three arrays": (((1, 2, 3),), "Pass arrays as (X, y); got a tuple of 3"),
    "lengths": ((([[1.0], [2.0]], [1]),), "y must be one value for each of 2 samples"),
    "text to predict": ((([[1.0], [2.0]], ["a", "b"]), None, "regression"), "is no number"),
    "constant": ((([[1.0], [2.0]], [0.5, 0.5]), None, "regression"), "is 0.5 throughout"),
    "NaN to predict": (
        (([[1.0], [2.0]], [0.5, np.nan]), None, "regression"),
        "not finite in 1 row",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_what_is_no_table_is_refused(name):
    arguments, message = BAD_CALLS[name]
    with pytest.raises(TableError) as caught:
        load(*arguments)
    assert message in str(caught.value)


def test_file_of_another_kind_is_refused(written):
    with pytest.raises(TableError, match=r"must end in \.csv or \.parquet"):
        load(written(SOUND, "table.xlsx"), "kind")


def test_missing_pandas_is_named_with_its_extra(written, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'skopt-dl\[compare\]'"):
        load(written(SOUND), "kind")
