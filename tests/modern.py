"""Methods of recent years, written as the author of a plugin would write them."""

from skopt_dl.objectives import Layout
from skopt_dl.optimizers import AdamW, Optimizer, PartialOptimizer
from skopt_dl.plugins.constraints import FRACTION, LEARNING_RATE, NOT_NEGATIVE, POSITIVE


def is_matrix(spec):
    """A weight matrix, and no stack of several."""
    return len(spec.shape) == 2 and spec.role in ("input", "hidden", "output")


class Muon(PartialOptimizer):
    """Momentum, orthogonalised; AdamW for biases (Jordan et al., 2024, Muon)."""

    slots = ("momentum",)
    constraints = {
        "learning_rate": LEARNING_RATE,
        "momentum": FRACTION,
        "adam_rate": POSITIVE,
        "weight_decay": NOT_NEGATIVE,
    }

    def __init__(self, learning_rate=0.02, momentum=0.95, adam_rate=0.015, weight_decay=0.0):
        self.learning_rate = learning_rate
        self.momentum = momentum
        # Of the biases' rate, as a share of the matrices'.
        self.adam_rate = adam_rate
        self.weight_decay = weight_decay

    def treats(self, spec):
        return is_matrix(spec)

    def rest(self):
        return AdamW(beta_1=0.9, beta_2=0.95, epsilon=1e-10, weight_decay=self.weight_decay)

    def rest_rate(self, learning_rate):
        return learning_rate * self.adam_rate

    def update(self, grad, state, params, step):
        self.update_rest(grad, state, params, step)
        treated = (self.treated(each, step.layout) for each in (grad, state["momentum"], params))
        for g, momentum, weights in zip(*treated, strict=True):
            momentum *= self._matrix(self.momentum)
            momentum += (1 - self._matrix(self.momentum)) * g
            ahead = g + self._matrix(self.momentum) * (momentum - g)
            n_in, n_out = g.shape[1:]
            direction = orthogonalised(step.xp, ahead) * max(1, n_out / n_in) ** 0.5
            direction = direction + self._matrix(self.weight_decay) * weights
            g[...] = -self._matrix(step.learning_rate) * direction
        return grad

    @staticmethod
    def _matrix(value):
        """A number, or a column for the models, to go with their matrices."""
        return value[:, :, None] if value.ndim == 2 else value


def orthogonalised(xp, x, n_steps=5):
    """The nearest orthogonal matrices, nearly: singular values between 0.7 and 1.2."""
    a, b, c = 3.4445, -4.775, 2.0315
    x = x / (xp.sqrt(xp.sum(x * x, axis=(1, 2), keepdims=True)) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(n_steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x


def squares_of(side):
    """A slot of one square matrix for each weight matrix, as large as one of its sides."""

    def shape(layout):
        return (square_layout(layout, side).size,)

    return shape


def square_layout(layout, side):
    matrices = [spec for spec in layout.specs if is_matrix(spec)]
    shapes = [(spec.name, spec.role, (spec.shape[side],) * 2) for spec in matrices]
    return Layout.from_shapes(shapes)


class SOAP(PartialOptimizer):
    """Adam in the eigenbasis of Shampoo's factors (Vyas et al., 2024, arXiv:2409.11321)."""

    slots = {
        "mean": "params",
        "squares": "params",
        **{f"{name}_{side}": squares_of(side) for side in (0, 1) for name in ("factor", "basis")},
    }
    constraints = {
        "learning_rate": LEARNING_RATE,
        "beta_1": FRACTION,
        "beta_2": FRACTION,
        "epsilon": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
    }

    def __init__(
        self,
        learning_rate=3e-3,
        beta_1=0.95,
        beta_2=0.95,
        epsilon=1e-8,
        weight_decay=0.01,
        frequency=10,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.frequency = frequency

    def treats(self, spec):
        return is_matrix(spec)

    def rest(self):
        return AdamW(
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
        )

    def coefficients(self, number, learning_rate):
        corrections = ((1 - self.beta_2**number) ** 0.5, 1 - self.beta_1**number)
        rate = learning_rate * corrections[0] / corrections[1]
        return {**super().coefficients(number, learning_rate), "rate": rate}

    def update(self, grad, state, params, step):
        self.update_rest(grad, state, params, step)
        xp, layout = step.xp, step.layout
        arrays = [self.treated(each, layout) for each in (grad, params)]
        arrays += [self.treated(state[slot], layout) for slot in ("mean", "squares")]
        for name in ("factor", "basis"):
            for side in (0, 1):
                tensors = square_layout(layout, side).tensors(state[f"{name}_{side}"])
                arrays.append([tensor.array for tensor in tensors])
        beta_1, beta_2, epsilon, decay, rate, full_rate = (
            value[:, :, None] if value.ndim == 2 else value
            for value in (
                self.beta_1,
                self.beta_2,
                self.epsilon,
                self.weight_decay,
                step.coefficients["rate"],
                step.learning_rate,
            )
        )
        for g, weights, mean, squares, *factors, left, right in zip(*arrays, strict=True):
            given = xp.asarray(g, copy=True)
            if step.number == 1:
                # There is no basis yet: the first gradient only makes one.
                g[...] = 0.0
            else:
                projected = left.mT @ given @ right
                mean[...] = beta_1 * mean + (1 - beta_1) * given
                squares[...] = beta_2 * squares + (1 - beta_2) * projected**2
                scaled = (left.mT @ mean @ right) / (xp.sqrt(squares) + epsilon)
                g[...] = -rate * (left @ scaled @ right.mT) - full_rate * decay * weights
            for factor, outer in zip(factors, (given @ given.mT, given.mT @ given), strict=True):
                factor[...] = beta_2 * factor + (1 - beta_2) * outer
            if step.number == 1:
                for factor, basis in zip(factors, (left, right), strict=True):
                    basis[...] = xp.flip(xp.linalg.eigh(factor)[1], axis=2)
            elif step.number % self.frequency == 0:
                for axis, (factor, basis) in enumerate(
                    zip(factors, (left, right), strict=True), start=1
                ):
                    sizes = xp.linalg.diagonal(basis.mT @ factor @ basis)
                    order = xp.argsort(-sizes, axis=1)
                    squares[...] = _in_order(xp, squares, order, axis)
                    turned = factor @ _in_order(xp, basis, order, 2)
                    basis[...] = xp.linalg.qr(turned)[0]
        return grad


def _in_order(xp, array, order, axis):
    """Each model's rows (axis 1) or columns (axis 2) in another order."""
    rows = [xp.take(array[k], order[k], axis=axis - 1) for k in range(array.shape[0])]
    return xp.stack(rows)


class ScheduleFree(Optimizer):
    """AdamW whose average takes the place of a schedule (Defazio et al., 2024, arXiv:2405.15682).

    The parameters that are trained lie between those that steps are taken from, ``base``, and
    their average, which predicts.
    """

    slots = {"base": "params", "squares": "params", "weight_sum": "scalar"}
    constraints = {
        "learning_rate": LEARNING_RATE,
        "beta_1": POSITIVE,
        "beta_2": FRACTION,
        "epsilon": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
    }

    def __init__(
        self, learning_rate=2.5e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay

    def init_state(self, state, params, xp):
        state["base"][...] = params

    def coefficients(self, number, learning_rate):
        return {"correction": (1 - self.beta_2**number) ** 0.5}

    def update(self, grad, state, params, step):
        xp, rate, base, squares = step.xp, step.learning_rate, state["base"], state["squares"]
        squares *= self.beta_2
        squares += (1 - self.beta_2) * grad**2
        scale = xp.sqrt(squares) / step.coefficients["correction"] + self.epsilon
        direction = grad / scale + self.weight_decay * params
        weight = rate**2
        state["weight_sum"] += weight
        share = weight / (state["weight_sum"] + 1e-30)
        change = share * (base - params) + rate * (self.beta_1 * (1 - share) - 1) * direction
        base -= rate * direction
        return change

    def eval_params(self, params, state):
        return (params - (1 - self.beta_1) * state["base"]) / self.beta_1


class SAM(Optimizer):
    """The gradient from uphill, for flat minima (Foret et al., 2021, arXiv:2010.01412)."""

    slots = ("velocity",)
    needs = ("gradient",)
    constraints = {"learning_rate": LEARNING_RATE, "rho": NOT_NEGATIVE, "momentum": FRACTION}

    def __init__(self, learning_rate=0.01, rho=0.05, momentum=0.9):
        self.learning_rate = learning_rate
        self.rho = rho
        self.momentum = momentum

    def update(self, grad, state, params, step):
        xp, velocity = step.xp, state["velocity"]
        norm = xp.sqrt(xp.sum(grad * grad, axis=1, keepdims=True))
        uphill = step.gradient(params + self.rho * grad / (norm + 1e-12))
        velocity *= self.momentum
        velocity += uphill
        return -step.learning_rate * velocity


MODERN = {cls.__name__: cls for cls in (Muon, SOAP, ScheduleFree, SAM)}
