# SPDX-License-Identifier: Apache-2.0
"""Turns message schemas into C.

    python3 tools/wire_generator SCHEMA --output FOLDER            <name>.h and <name>.c
    python3 tools/wire_generator --samples SCHEMA... --output FILE  what tests need to fill and compare
"""

import argparse
import sys
from pathlib import Path

from emit_header import emit_header
from emit_source import emit_source
from schema import SchemaError, load


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("schemas", nargs="+")
    parser.add_argument("--output", required=True)
    parser.add_argument("--samples", action="store_true")
    arguments = parser.parse_args()
    try:
        messages = [(load(path), Path(path).name) for path in arguments.schemas]
        if arguments.samples:
            from emit_samples import emit_samples
            Path(arguments.output).write_text(emit_samples(messages))
            return 0
        for message, file in messages:
            folder = Path(arguments.output)
            (folder / f"{message.c_name}.h").write_text(emit_header(message, file))
            (folder / f"{message.c_name}.c").write_text(emit_source(message, file))
    except (SchemaError, ValueError, OSError) as error:
        print(f"wire_generator: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
