"""Compares pairs of versions as `packaging` does; a pair with a text that is no version is left out. `python.py < pairs.txt > python.txt`"""

import sys

from packaging.version import InvalidVersion, Version

for line in sys.stdin:
    one, other = line.split()
    try:
        left, right = Version(one), Version(other)
    except InvalidVersion:
        continue
    print(one, other, (left > right) - (left < right))
