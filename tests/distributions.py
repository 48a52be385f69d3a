"""Distributions for the tests, installed into a folder of their own.

What pip leaves behind is all there is to an installed distribution: modules, and a ``.dist-info``
folder with METADATA, RECORD and entry_points.txt.
"""

import importlib
import os
import subprocess
import sys
import textwrap

HOOK = """\
from skopt_dl import hookimpl

@hookimpl
def {hook}():
    return {names}
"""


def hook(names, kind="optimizers"):
    """A module with one hook, which returns `names`."""
    return HOOK.format(hook=f"skopt_dl_{kind}", names=names)


OPTIMIZERS = """\
from skopt_dl.optimizers import Optimizer

class Crawl(Optimizer):
    '''A hundredth of the gradient.'''

    def __init__(self, learning_rate=0.01):
        self.learning_rate = learning_rate

    def update(self, grad, state, params, step):
        return -step.learning_rate * grad

class Sprint(Crawl):
    pass
"""


class Site:
    """A folder that distributions are installed into."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def install(self, name, files, entry_points=None, version="1.0", requires=()):
        """Install a distribution; `entry_points` maps names to modules, by default its first."""
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(textwrap.dedent(text))
        if entry_points is None:
            module = next(iter(files)).removesuffix("/__init__.py").removesuffix(".py")
            entry_points = {module: module}
        lines = [f"{entry} = {value}" for entry, value in entry_points.items()]
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        metadata = {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "INSTALLER": "pip\n",
            "entry_points.txt": "\n".join(["[skopt_dl]", *lines, ""]),
        }
        for file, text in metadata.items():
            (info / file).write_text(text)
        with (info / "METADATA").open("a") as metadata_file:
            metadata_file.writelines(f"Requires-Dist: {package}\n" for package in requires)
        records = [*files, *(f"{info.name}/{file}" for file in (*metadata, "RECORD"))]
        (info / "RECORD").write_text("".join(f"{record},,\n" for record in records))
        importlib.invalidate_caches()

    def install_optimizers(self, name, module, names):
        """Install a distribution whose optimizers are ``{name: class}``; it works."""
        targets = {key: f"{module}.optimizers:{cls}" for key, cls in names.items()}
        files = {
            f"{module}/__init__.py": hook(targets),
            f"{module}/optimizers.py": OPTIMIZERS,
        }
        self.install(name, files)

    def python(self, code, *, installed=True, **env):
        """Run code in another process, with these distributions or without; returns its output."""
        paths = [str(self.folder)] if installed else []
        paths += filter(None, [os.environ.get("PYTHONPATH")])
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **env},
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout
