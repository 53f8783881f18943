"""`python -m benchmarks`: run the sections that are asked for, and show what they measured."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import options as command_line
from benchmarks.options import Options
from benchmarks.report import Table, markdown


def main() -> None:
    """Run, print each table as soon as it is there, and write the files."""
    options = command_line.read()
    tables: dict[str, Sequence[Table]] = {}
    from benchmarks.setting import Setting  # here, because torch takes a second to import and --help does not need it

    with tempfile.TemporaryDirectory(prefix="spleeter-benchmarks-") as folder:
        setting = Setting.make(options, Path(folder))
        for name in options.sections:
            tables[name] = import_module(f"benchmarks.sections.{name}").run(setting)
            print("\n".join(map(markdown, tables[name])), flush=True)
            if options.json:  # after each section, so that an interrupted run leaves what it has
                options.json.write_text(json.dumps(_plain(options, tables), indent=2) + "\n")
    if options.plot:
        from benchmarks.plot import draw

        draw(tables, options.plot)


def _plain(options: Options, tables: Mapping[str, Sequence[Table]]) -> dict[str, Any]:
    """Everything as plain JSON."""
    asked = {key: value.name if isinstance(value, Path) else value for key, value in asdict(options).items()}
    sections = {name: [asdict(table) for table in of_section] for name, of_section in tables.items()}
    return {"time": datetime.now(UTC).isoformat(timespec="seconds"), "options": asked, "sections": sections}


if __name__ == "__main__":
    main()
