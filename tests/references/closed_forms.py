"""The optimizers written as closed sums, at 50 digits.

A second opinion on the libraries. No function here carries a state from one step to the next: every
average is the sum its paper defines, ``m_t = (1 - b) * sum_i b**(t - i) * g_i``, so a mistake in a
recurrence cannot be repeated here. AdaDelta is absent: each of its steps needs the step before, so
it has no closed sum.

Each function takes ``gradients`` and ``initial`` (arrays of ``mpmath.mpf``), ``rates`` (a learning
rate per step) and our hyperparameters, and returns the parameters after every step, of the shape of
``gradients``: (n_steps, n_parameters).
"""

import numpy as np
from mpmath import mp, mpf

mp.dps = 50

exact = np.vectorize(lambda x: mpf(float(x)), otypes=[object])
root = np.vectorize(mp.sqrt, otypes=[object])
sign = np.vectorize(mp.sign, otypes=[object])


def decaying_sum(decay, values):
    """Sum over i <= t of ``decay**(t - i) * values[i]``, for every step t."""
    n = len(values)
    powers = [mpf(1)]
    for _ in range(n):
        powers.append(powers[-1] * mpf(decay))
    table = [[powers[t - i] if i <= t else mpf(0) for i in range(n)] for t in range(n)]
    return np.array(table, dtype=object) @ values


def moving_average(decay, values):
    return (1 - mpf(decay)) * decaying_sum(decay, values)


def decay_powers(decay, n):
    """``decay**t`` for t = 1 .. n, as a column."""
    return np.array([[mpf(decay) ** t] for t in range(1, n + 1)], dtype=object)


def descend(initial, rates, directions):
    return initial - np.cumsum(rates * directions, axis=0)


def sgd(gradients, initial, rates):
    return descend(initial, rates, gradients)


def momentum(gradients, initial, rates, momentum):
    return descend(initial, rates, decaying_sum(momentum, gradients))


def nesterov(gradients, initial, rates, momentum):
    velocity = decaying_sum(momentum, gradients)
    return descend(initial, rates, gradients + mpf(momentum) * velocity)


def _divide(numerator, squares, epsilon, inside):
    if inside:
        return numerator / root(squares + mpf(epsilon))
    return numerator / (root(squares) + mpf(epsilon))


def adagrad(gradients, initial, rates, epsilon, initial_accumulator, epsilon_inside_sqrt):
    squares = mpf(initial_accumulator) + np.cumsum(gradients**2, axis=0)
    return descend(initial, rates, _divide(gradients, squares, epsilon, epsilon_inside_sqrt))


def rmsprop(
    gradients,
    initial,
    rates,
    rho,
    epsilon,
    initial_accumulator,
    epsilon_inside_sqrt,
    momentum,
    centered,
):
    squares = moving_average(rho, gradients**2)
    squares = squares + mpf(initial_accumulator) * decay_powers(rho, len(gradients))
    if centered:
        squares = squares - moving_average(rho, gradients) ** 2
    scaled = _divide(gradients, squares, epsilon, epsilon_inside_sqrt)
    return descend(initial, rates, decaying_sum(momentum, scaled))


def adam(gradients, initial, rates, beta_1, beta_2, epsilon, epsilon_hat=False):
    squares = moving_average(beta_2, gradients**2)
    return descend(initial, rates, _adam(gradients, squares, beta_1, beta_2, epsilon, epsilon_hat))


def _adam(gradients, squares, beta_1, beta_2, epsilon, epsilon_hat=False):
    n = len(gradients)
    mean = moving_average(beta_1, gradients) / (1 - decay_powers(beta_1, n))
    correction = root(1 - decay_powers(beta_2, n))
    if epsilon_hat:  # Kingma & Ba, end of section 2: epsilon on the uncorrected root
        return mean * correction / (root(squares) + mpf(epsilon))
    return mean / (root(squares) / correction + mpf(epsilon))


def amsgrad(gradients, initial, rates, beta_1, beta_2, epsilon, epsilon_hat, bias_correction):
    largest = np.maximum.accumulate(moving_average(beta_2, gradients**2), axis=0)
    if not bias_correction:  # Reddi et al. 2018, Algorithm 2: nothing is corrected
        directions = moving_average(beta_1, gradients) / (root(largest) + mpf(epsilon))
    else:
        directions = _adam(gradients, largest, beta_1, beta_2, epsilon, epsilon_hat)
    return descend(initial, rates, directions)


def adamw(gradients, initial, rates, beta_1, beta_2, epsilon, weight_decay):
    squares = moving_average(beta_2, gradients**2)
    directions = _adam(gradients, squares, beta_1, beta_2, epsilon)
    return _descend_with_decay(initial, rates, directions, weight_decay)


def _descend_with_decay(initial, rates, directions, weight_decay):
    """Solve ``theta_t = d_t * theta_{t-1} - rate_t * direction_t`` with the product of all d."""
    product = np.cumprod(1 - rates * mpf(weight_decay), axis=0)
    return product * descend(initial, rates, directions / product)


def adamax(gradients, initial, rates, beta_1, beta_2, epsilon):
    n = len(gradients)
    mean = moving_average(beta_1, gradients) / (1 - decay_powers(beta_1, n))
    powers = decay_powers(beta_2, n)
    # max_i b2**(t-i) * (|g_i| + eps) = b2**t * max_i (|g_i| + eps) / b2**i
    norm = powers * np.maximum.accumulate((abs(gradients) + mpf(epsilon)) / powers, axis=0)
    return descend(initial, rates, mean / norm)


def nadam(gradients, initial, rates, beta_1, beta_2, epsilon, momentum_decay):
    n = len(gradients)
    exponents = [mpf(momentum_decay) * t for t in range(1, n + 2)]
    mu = np.array([[mpf(beta_1) * (1 - mpf(0.96) ** e / 2)] for e in exponents], dtype=object)
    product = np.cumprod(mu, axis=0)
    mean = moving_average(beta_1, gradients)
    ahead = mu[1:] * mean / (1 - product[1:]) + (1 - mu[:-1]) * gradients / (1 - product[:-1])
    squares = moving_average(beta_2, gradients**2) / (1 - decay_powers(beta_2, n))
    return descend(initial, rates, ahead / (root(squares) + mpf(epsilon)))


def lion(gradients, initial, rates, beta_1, beta_2, weight_decay):
    before = moving_average(beta_2, gradients)[:-1]
    before = np.concatenate([0 * before[:1], before])
    directions = sign(mpf(beta_1) * before + (1 - mpf(beta_1)) * gradients)
    return _descend_with_decay(initial, rates, directions, weight_decay)
