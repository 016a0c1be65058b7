"""Extracts the files that match one of the patterns from every wheel in a folder.

Arguments: the folder with the wheels, the folder to fill, then the patterns. A pattern matches a file's whole path; its
only group is the file's path in the folder to fill.
"""

import pathlib
import re
import shutil
import sys
import zipfile

wheels, target, *patterns = sys.argv[1:]
for wheel in sorted(pathlib.Path(wheels).glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            matches = filter(None, (re.fullmatch(pattern, name) for pattern in patterns))
            match = next(matches, None)
            if match is None or name.endswith("/"):
                continue
            path = pathlib.Path(target, match.group(1))
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, open(path, "wb") as destination:
                shutil.copyfileobj(source, destination, 1 << 20)
