"""Writes pairs of versions for the oracles: `pairs.py maven COUNT` or `pairs.py python COUNT`."""

import random
import sys

MAVEN = [
    "1", "1.0", "1.0.0", "1-0", "1.0-0", "0", "0.0", "1.1", "1.01", "1.2", "1.10", "2.0", "1.0-alpha", "1.0-alpha-1", "1.0-alpha1", "1.0-a1", "1.0a1",
    "1.0-beta-2", "1.0-b2", "1.0b", "1.0-m3", "1.0-milestone-3", "1.0-M3", "1.0-rc1", "1.0-RC-1", "1.0-cr1", "1.0.CR1", "1.0-SNAPSHOT", "1.0.Final",
    "1.0-final", "1.0-ga", "1.0.GA", "1.0-release", "1.0.RELEASE", "1.0-sp", "1.0-sp-1", "1.0.SP1", "1.0-xyz", "1.0-xyz-2", "1.0.xyz", "1.0-jre",
    "32.1.3-jre", "32.1.3-android", "32.0.0-jre", "2.15.2", "2.15.2.1", "2.9.10.8", "4.1.100.Final", "4.1.99.Final", "4.1.100", "3.0.0-M5", "20040616",
    "1.0.20040616", "99999999999999999999", "99999999999999999998.1", "1..2", "1.-2", "1--2", "1-.2", "1.0-1", "1-1", "1.1-1", "1-1.1", "1_2", "1.0+3",
    "v1.0", "1.0.0.v2020", "9.4.53.v20231009", "9.4.52.v20230823", "r09", "r03", "1-1-SNAPSHOT", "2.0.0-alpha.1", "2.0.0-alpha.beta", "1.x", "x", "x1",
    "1.0.0-rc.1", "1.0.0.rc1", "1.0rc1", "1.0-rc1-SNAPSHOT", "1.0-20200101.101010-1", "1.0.redhat-1", "1.0.0.Final-redhat-00001", "1-ga-1", "1-sp1-ga",
]
PYTHON = [
    "1", "1.0", "1.0.0", "0", "1.1", "1.01", "1.10", "2.0", "1.0a1", "1.0-alpha-1", "1.0.alpha.1", "1.0b2", "1.0-beta", "1.0c1", "1.0rc1", "1.0-rc.1",
    "1.0-preview1", "1.0.dev0", "1.0.dev3", "1.0a1.dev2", "1.0.post1", "1.0-1", "1.0.rev2", "1.0-r3", "1.0.post1.dev4", "1!0.5", "1!1.0", "2!1.0a1",
    "1.0+abc", "1.0+abc.1", "1.0+1", "1.0+ubuntu-2", "v1.0", "2024.1.1", "1.0.0.0.1", "99999999999.1", "1.0.0rc1.post2.dev3", "1.0+1.abc.2",
]


def parts(kind, rng):
    if kind == "maven":
        words = ["alpha", "beta", "milestone", "rc", "snapshot", "sp", "ga", "final", "release", "cr", "a", "b", "m", "x", "jre", "xyz", "v", "pre", "dev"]
        tokens = words + [word.upper() for word in words[:6]] + ["0", "00", "1", "01", "2", "10", "100", "20230101", "12345678901234567890"]
        text = "".join(rng.choice(tokens) + rng.choice([".", "-", "", ".", "-", "_"]) for _ in range(rng.randint(1, 6)))
        return text.rstrip("_") or "1"
    text = rng.choice(["", "", "", "1!", "v"]) + ".".join(str(rng.choice([0, 1, 2, 10, 99])) for _ in range(rng.randint(1, 4)))
    text += rng.choice(["", "", rng.choice(["a", "b", "rc", ".alpha", "-beta", "c", "pre"]) + rng.choice(["", "1", "02", ".3", "-4"])])
    text += rng.choice(["", "", rng.choice([".post", "-", ".rev", "-r"]) + str(rng.randint(0, 3))])
    text += rng.choice(["", "", ".dev" + str(rng.randint(0, 3))])
    return text + rng.choice(["", "", "", "+" + rng.choice(["a", "1", "a.1", "1.a", "b-2"])])


def main():
    kind, count = sys.argv[1], int(sys.argv[2])
    rng = random.Random(20)
    fixed = MAVEN if kind == "maven" else PYTHON
    pairs = [(one, other) for at, one in enumerate(fixed) for other in fixed[at:]]
    rng.shuffle(pairs)
    pairs = pairs[: count // 2]
    while len(pairs) < count:
        one = parts(kind, rng)
        # Half of them nearly alike.
        other = parts(kind, rng) if rng.random() < 0.5 else one + rng.choice(["0", ".0", "-1", ".1", "-x", "rc1", "-SNAPSHOT", ".Final"])
        if kind == "python" and other.startswith(one):
            other = one.split("+")[0] + rng.choice(["0", ".post1", ".dev1", "+x"])
        pairs.append((one, other))
    for one, other in pairs:
        print(one, other)


main()
