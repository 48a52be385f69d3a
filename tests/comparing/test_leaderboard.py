"""What follows from rows: scores, verdicts, targets, failures."""

import math

import pytest
from comparing.made_rows import made_board

from skopt_dl.comparing import read_rows, wording
from skopt_dl.comparing.statistics import interval, p_value

BASE = [0.70, 0.72, 0.71, 0.69, 0.68]
SCORES = {
    "adamw": BASE,
    "good": [each + 0.2 + 0.001 * i for i, each in enumerate(BASE)],
    "bad": [each - 0.2 - 0.001 * i for i, each in enumerate(BASE)],
    "like": [0.68, 0.73, 0.69, 0.70, 0.71],
}


@pytest.fixture(scope="module")
def board():
    return made_board(SCORES)


def by_name(board):
    return {each.optimizer: each for each in board.standings}


def test_best_comes_first(board):
    assert [each.optimizer for each in board.standings] == ["good", "like", "adamw", "bad"]


def test_verdicts_are_of_differences_on_the_same_splits(board):
    found = by_name(board)
    verdicts = {name: each.verdict for name, each in found.items()}
    expected = {"adamw": "baseline", "good": "better", "bad": "worse", "like": "not told apart"}
    assert verdicts == expected
    differences = [a - b for a, b in zip(SCORES["good"], BASE, strict=True)]
    assert found["good"].difference == pytest.approx(interval(differences, 1 / 3))
    assert found["good"].p_value >= p_value(differences, 1 / 3)
    assert math.isnan(found["adamw"].p_value)


def test_p_values_allow_for_their_number(board):
    differences = [a - b for a, b in zip(SCORES["like"], BASE, strict=True)]
    assert by_name(board)["like"].p_value == pytest.approx(p_value(differences, 1 / 3))
    smaller = {name: by_name(board)[name].p_value for name in ("good", "bad")}
    assert min(smaller.values()) == pytest.approx(
        3
        * p_value(
            [a - b for a, b in zip(SCORES[min(smaller, key=smaller.get)], BASE, strict=True)], 1 / 3
        )
    )


def test_targets_are_shares_of_the_way_to_the_baseline(board):
    assert board.targets == pytest.approx([0.2 + share * 0.5 for share in (0.8, 0.9, 0.95, 1.0)])


def test_steps_and_seconds_to_a_target_are_counted_from_the_curves(board):
    # Of ten equal parts up to 0.9, 0.6 is passed by the sixth; an epoch has four steps.
    first = by_name(board)["good"].reached[0]
    assert (first.n_runs, first.steps) == (5, 24)
    assert first.seconds == pytest.approx(24 * 0.1 / 40)
    assert by_name(board)["bad"].reached[0] == (board.targets[0], 0, math.inf, math.inf)


def test_failure_counts_as_a_constant_prediction_and_reaches_nothing():
    failed = by_name(made_board(SCORES, failing={"good"}))["good"]
    assert failed.tuned.mean == pytest.approx((0.2 + sum(SCORES["good"][1:])) / 5)
    assert failed.final == (1, 10)
    assert failed.reached[0].n_runs == 4
    assert failed.verdict == "not told apart"


def test_no_targets_where_the_baseline_is_no_better_than_a_constant():
    board = made_board(SCORES, constant=0.9)
    assert board.targets == []
    assert by_name(board)["good"].reached == []
    assert wording.rows(board)[1][0][6] == wording.NOTHING


def test_chosen_setting_is_the_best_of_tuning_and_failing_ones_come_last(board):
    assert by_name(board)["good"].settings == [{"learning_rate": 0.2}] * 5
    spoilt = made_board(SCORES)
    for row in spoilt.rows:
        if row["phase"] == "tuning" and row["trial"] == 1 and row["fold"] == 0:
            row |= {"outcome": "diverged", "score": math.nan}
        elif row["phase"] == "tuning":
            # As errors are where higher is better: a failure is not the best of them.
            row["score"] -= 5
    assert by_name(spoilt)["good"].settings == [{"learning_rate": 0.1}] * 5
    assert by_name(spoilt)["good"].tuning == (5, 20)


def test_rates_are_means_by_factor_with_the_tuned_one_among_them(board):
    rates = by_name(board)["adamw"].rates
    assert list(rates) == [0.1, 0.3, 1.0, 3.0, 10.0]
    assert rates[1.0] == pytest.approx(0.70)
    assert rates[10.0] == pytest.approx(0.65)


def test_curve_of_a_run_that_ended_early_stays_where_it_ended():
    board = made_board(SCORES, curves={"good": [0.5, 0.7]})
    assert board.curve("good") == pytest.approx([0.5, 0.7])
    for row in board.rows:
        if row["phase"] == "tuned" and row["optimizer"] == "good" and row["seed"] == 0:
            row["curve"] = [0.4]
    assert board.curve("good") == pytest.approx([(4 * 0.5 + 0.4) / 5, (4 * 0.7 + 0.4) / 5])


def test_rows_are_read_as_they_were_written(board, tmp_path):
    failing = made_board(SCORES, failing={"good"})
    failing.write_rows(tmp_path / "rows.csv")
    read = read_rows(tmp_path / "rows.csv")
    assert read.about == failing.about
    assert repr(read.standings) == repr(failing.standings)
    assert read.rows[3]["params"] == failing.rows[3]["params"]


def test_file_without_rows_is_refused(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no rows of a comparison: its first line is 'a,b'"):
        read_rows(path)


def test_verdict_says_who_is_better_worse_and_not_told_apart(board):
    said = wording.verdict(board)
    assert said.startswith(
        "good has the best mean accuracy, 0.902. good is better than tuned adamw."
    )
    assert "bad is worse than tuned adamw. like is not told apart from tuned adamw." in said


def test_single_repetition_says_nothing_of_chance(board):
    rows = [row for row in board.rows if row["seed"] == 0]
    plan = {**board.about["plan"], "seeds": 1}
    single = type(board)({**board.about, "plan": plan}, rows)
    assert "raise --seeds" in wording.verdict(single)
    assert single.standings[0].verdict == "not told apart"
