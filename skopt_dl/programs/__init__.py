"""Array code, traced once into a straight-line program, and run by an engine."""

from skopt_dl.programs.convolving import Geometry
from skopt_dl.programs.engine import Binding, Bound, HostFunction, Memory
from skopt_dl.programs.engines import (
    Engine,
    chosen_engine,
    edition_of,
    engine_of,
    installed_engines,
    using_engine,
)
from skopt_dl.programs.hosts import (
    Draw,
    DrawnBits,
    DrawnOrder,
    HostNumbers,
    HostReads,
    HostWrites,
    write_drawn,
)
from skopt_dl.programs.instructions import Instruction, Program
from skopt_dl.programs.namespace import Namespace
from skopt_dl.programs.reverse import differentiate
from skopt_dl.programs.symbols import HostScalar, Symbol, TracingError
from skopt_dl.programs.tracing import Tracer
from skopt_dl.programs.values import Buffer, Value

__all__ = [
    "Binding",
    "Bound",
    "Buffer",
    "Draw",
    "DrawnBits",
    "DrawnOrder",
    "Engine",
    "Geometry",
    "HostFunction",
    "HostNumbers",
    "HostReads",
    "HostScalar",
    "HostWrites",
    "Instruction",
    "Memory",
    "Namespace",
    "Program",
    "Symbol",
    "Tracer",
    "TracingError",
    "Value",
    "chosen_engine",
    "differentiate",
    "edition_of",
    "engine_of",
    "installed_engines",
    "using_engine",
    "write_drawn",
]
