"""A contract type for import-linter: these modules import these libraries and no others.

import-linter's own `forbidden` contract wants every library that is not allowed by name, so a new dependency
would be allowed everywhere until somebody thought of it. This one turns it round. The standard library is
left to `forbidden` contracts.
"""

from __future__ import annotations

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AllowedExternals(Contract):
    """Configuration: `source_modules`, packages with all that is in them; `allowed`, import names."""

    source_modules = fields.ListField(subfield=fields.ModuleField())
    allowed = fields.ListField(subfield=fields.StringField(), required=False, default=[])

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        sources = [module.name for module in self.source_modules]  # type: ignore[attr-defined]
        allowed: set[str] = {*self.allowed, *sys.stdlib_module_names}  # type: ignore[misc]
        broken: list[str] = []
        for source in sources:
            for importer in sorted({source, *graph.find_descendants(source)}):
                for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                    is_external = graph.is_module_squashed(imported)
                    if is_external and imported.partition(".")[0] not in allowed:
                        broken.append(f"{importer} imports {imported}")
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["broken"]:
            output.print_error(line)
        output.print_error("Allow it in pyproject.toml if that is meant, or put an adapter between.")
