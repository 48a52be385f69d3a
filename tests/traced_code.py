"""Array code as the engine runs it."""

from skopt_dl.backends import backend_of
from skopt_dl.layers import Pass
from skopt_dl.programs import Memory, Tracer, differentiate, engine_of


def traced(function, *arrays):
    """Return ``function(xp, *arrays)``, traced and run by the engine."""
    b, tracer = backend_of(arrays[0]), Tracer(arrays[0].dtype)
    given = [tracer.given(f"x {i}", each.shape, each.dtype) for i, each in enumerate(arrays)]
    result = function(tracer.xp, *given)
    out = tracer.given("out", result.shape, result.dtype)
    tracer.copy(result, out)
    results = b.empty(result.shape, like=arrays[0])
    inputs = {f"x {i}": each for i, each in enumerate(arrays)} | {"out": results}
    for call in engine_of(b).bind(b, tracer.program(), inputs, Memory(b, arrays[0])).calls():
        call()
    return results


class TracedPass(Pass):
    """What a layer without tensors is told of."""

    def __init__(self, tracer):
        self.xp, self.custom, self.training = tracer.xp, tracer.custom, True


def value_and_slope(layer, x, delta):
    """What a layer without tensors returns, and the gradient at `x` of that, `delta`, at it."""
    b, tracer = backend_of(x), Tracer(x.dtype)
    given = tracer.given("x", x.shape)
    result = layer.forward(given, None, TracedPass(tracer))
    arrays = {"x": x, "value": b.empty(result.shape, like=x), "slope": b.empty(x.shape, like=x)}
    arrays["delta"] = delta
    tracer.copy(result, tracer.given("value", result.shape))
    slope = tracer.given("slope", x.shape)
    differentiate(tracer, [(result, tracer.given("delta", delta.shape))], [(given, slope)])
    for call in engine_of(b).bind(b, tracer.program(), arrays, Memory(b, x)).calls():
        call()
    return arrays["value"], arrays["slope"]
