"""Gathers the modules that a sampler of npu-tune needs, with imports that stand alone.

A package of OptunaHub cannot count on npu-tune being installed: it brings along every module that
its sampler imports, directly or not, in the folders that they have in ``npu_tune/samplers``.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SAMPLERS = "npu_tune.samplers"
MAY_BE_IMPORTED = frozenset({"numpy", "optuna", *sys.stdlib_module_names})


class PackagingError(Exception):
    """A package cannot be made, or would break a rule of the registry."""


@dataclass(frozen=True)
class Module:
    """A module below ``npu_tune.samplers``.

    Args:
        name: in full.
        path: of its file.
    """

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def is_folder(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def place(self) -> Path:
        """Where its file belongs in the package."""
        parts = self.name.removeprefix(f"{SAMPLERS}.").split(".")
        return Path(*parts, "__init__.py") if self.is_folder else Path(*parts).with_suffix(".py")

    @cached_property
    def imports(self) -> tuple[ast.Import | ast.ImportFrom, ...]:
        nodes = ast.walk(ast.parse(self.text))
        return tuple(node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)))

    def error(self, node: ast.stmt, problem: str) -> PackagingError:
        return PackagingError(f"{self.name}, line {node.lineno}, {problem}")


@dataclass(frozen=True)
class Source:
    """The samplers of npu-tune as they lie in a clone.

    Args:
        root: the folder that holds ``npu_tune``.
    """

    root: Path

    def find(self, name: str) -> Module | None:
        """The module of this name; None where there is none."""
        path = self.root.joinpath(*name.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return Module(name, file)
        return None

    def gather(self, name: str) -> list[Module]:
        """All modules that one needs, itself and the folders they lie in included, by name.

        Raises:
            PackagingError: where one imports anything but Optuna, NumPy, Python's own library and
                modules below ``npu_tune.samplers``.
        """
        found: dict[str, Module] = {}
        asked = [name]
        while asked:
            name = asked.pop()
            if name in found or name == SAMPLERS:
                continue
            module = self.find(name)
            if module is None:
                raise PackagingError(f"There is no module {name} in {self.root}.")
            found[name] = module
            asked.append(name.rpartition(".")[0])
            if not module.is_folder:
                asked += [other for node in module.imports for other in self._needs(module, node)]
        return [found[name] for name in sorted(found)]

    def _needs(self, module: Module, node: ast.Import | ast.ImportFrom) -> list[str]:
        """The modules of npu-tune that an import needs."""
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif node.level:
            raise module.error(
                node, "imports by a relative name; npu-tune's modules do so in full."
            )
        else:
            names = [str(node.module)]
        for name in names:
            top = name.partition(".")[0]
            if top == "npu_tune" and isinstance(node, ast.Import):
                raise module.error(node, f"imports {name} as a whole; import its names from it.")
            if top != "npu_tune" and top not in MAY_BE_IMPORTED:
                raise module.error(
                    node,
                    f"imports {name}, but a package of OptunaHub may only import Optuna, NumPy and"
                    " Python's own library; keep it out of the samplers.",
                )
        if isinstance(node, ast.Import) or not names[0].startswith("npu_tune"):
            return []
        return [self._home(module, node, alias.name) for alias in node.names]

    def _home(self, module: Module, node: ast.ImportFrom, imported: str) -> str:
        """The module that an imported name is, or is defined in."""
        origin = str(node.module)
        if not f"{origin}.".startswith(f"{SAMPLERS}."):
            raise module.error(
                node,
                f"imports from {origin}, which is no part of {SAMPLERS}; what both need has to"
                f" move there.",
            )
        if self.find(f"{origin}.{imported}"):
            return f"{origin}.{imported}"
        if origin == SAMPLERS:
            raise module.error(
                node, f"imports {imported} from {SAMPLERS}; import it from where it is defined."
            )
        return origin


def standalone_text(module: Module) -> str:
    """The text of a module with relative imports of its kind, and pages named as npu-tune's.

    Of a folder's ``__init__.py`` the first sentence is kept: what else it says is about modules
    that need not be there.
    """
    if module.is_folder:
        docstring = ast.get_docstring(ast.parse(module.text)) or ""
        return f'"""{docstring.splitlines()[0]}"""\n'
    lines = module.text.splitlines(keepends=True)
    for node in module.imports:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(SAMPLERS):
            at = node.lineno - 1
            lines[at] = lines[at].replace(str(node.module), _relative(module, str(node.module)), 1)
    text = "".join(lines).replace(f"~{SAMPLERS}.", "")
    return re.sub(r"\bdocs/(\w+\.md)", r"npu-tune's docs/\1", text)


def _relative(module: Module, origin: str) -> str:
    """The name of a module, or of the samplers as a whole, as seen from another one."""
    here = module.name.split(".")[:-1]
    there = origin.split(".")
    common = 0
    while common < min(len(here), len(there)) and here[common] == there[common]:
        common += 1
    return "." * (len(here) - common + 1) + ".".join(there[common:])
