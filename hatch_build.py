"""Ships julia/ inside the wheel, with the juliapkg.json that names it there.

Editable installs use the repository's own.

A static force-include table would be applied to editable installs too and leave a stale
copy behind, hence this hook.
"""

from __future__ import annotations

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict) -> None:
        if version == "standard":
            build_data["force_include"].update(
                {"julia": "pbpk_hybrid/_julia", "juliapkg-wheel.json": "pbpk_hybrid/juliapkg.json"}
            )
