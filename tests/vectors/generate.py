"""Writes the known answers: ``python -m tests.vectors.generate [FOLDER]``, with fixed randomness and a fixed clock.

Vectors are promises about bytes that are already on people's disks. Run this to add some; if it changes one that is committed,
either the format has changed, and needs a new number, or only the order in which randomness is drawn.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.vectors.primitives import primitives
from tests.vectors.stored import stored

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent).absolute()
    primitives(folder)
    stored(folder)
