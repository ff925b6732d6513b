"""Text files that a person gives, damaged: study, comparison, hardware, command, plan and ini."""

from __future__ import annotations

import random
import re
from importlib import resources

from npu_tune.targets.ethos_u.system import vendor_ini

STUDY = """
[model]
path = "ds-cnn"

[target]
name = "neural-art-stm32n6"

[study]
name = "one"
evaluations = 2
wall_time = "1m"
storage_retry = 0
polish = false

[executor]
kind = "inline"
timeout_s = 30.0

[sampler]
name = "profile"
seed_of_mine = 1

[objective]
weights = [0.5, 0.5]
metrics = ["latency_ms", "ram_bytes"]

[limits]
ram_bytes = ["<= 256 KiB"]
"""

COMPARISON = """
[compare]
name = "many"
evaluations = 20
seeds = [0, 1, 5]
exact_limit = "30m"

[report]
checkpoints = [5, 10]
within = 0.01
rival = "random"

[executor]
workers = 1

[[network]]
path = "ds-cnn"
label = "first"

[[network]]
path = "resnet8"
label = "second"

[[target]]
name = "neural-art-stm32n6"

[[sampler]]
name = "profile"
seeds = 1

[[sampler]]
name = "random"
"""

COMMAND = """
argv = ["./compile", "{request}"]
files = ["compile"]
version = "1"
formats = ["onnx"]
time_limit = "10s"

[exit_codes]
3 = "illegal"

[[metrics]]
name = "latency_ms"
unit = "ms"
kind = "measured"
goal = "minimize"
description = "of one inference"
objective = true

[[knobs]]
name = "tile"
values = [1, 2, 4]
default = 1
ordered = true

[[starts]]
label = "large"
values = { "*/tile" = 4 }
"""

PLAN = """
{"version": 1,
 "segments": [{"layers": ["a", "p"], "stripes": 2}],
 "splits": [{"layer": "a", "over": "kernels", "parts": 2}]}
"""


def seed(kind: str) -> str:
    """An ordinary file of a kind."""
    if kind == "hardware":
        data = resources.files("npu_tune.targets.neural_art.hardware") / "data"
        return (data / "stm32n6.toml").read_text(encoding="utf-8")
    if kind == "ini":
        return vendor_ini().read_text(encoding="utf-8")
    return {"study": STUDY, "comparison": COMPARISON, "command": COMMAND, "plan": PLAN}[kind]


_VALUES = (
    *("-1", "0", "1e999", "nan", "-inf", "true", "[]", "{}", '""', '"\\u0000"', "1979-05-27"),
    *("99999999999999999999999", "9" * 5000, "0x7fffffffffffffff", "1e-320", "[[[]]]", "2 ** 9"),
    *('"../../outside"', '"/etc/passwd"', '"' + "x" * 300_000 + '"', "{a = {b = {c = 1}}}"),
    *('"sqlite:////proc/x"', '"postgresql://h/x"', '"redis://127.0.0.1:1/0"', '"%(x)s"', '"\\n"'),
    *('"os:system"', '"builtins:exec"', '"antigravity:x"', '"\\u001b[2J"', "[1, 2, 3, 4, 5, 6]"),
    *('"' + "9" * 4000 + ' KiB"', '"1e400s"', '"<= 1e999"', '"99999999999d"', '"-5 KiB"'),
)


def damaged(kind: str, generator: random.Random) -> bytes:
    """A file with values, lines or bytes of it changed, or one that stands for very much."""
    text = seed(kind)
    chance = generator.random()
    if chance < 0.1:
        return _monster(kind, generator)
    if chance < 0.2:
        return _flipped(text.encode(), generator)
    for _ in range(generator.choice((1, 1, 2, 4))):
        text = generator.choice((_value, _value, _value, _line, _word))(text, generator)
    return text.encode()


def _value(text: str, generator: random.Random) -> str:
    places = [*re.finditer(r'[=:,\[] *("[^"]*"|[\d.]+|true|false|[\w.]+)', text)]
    place = generator.choice(places)
    value = generator.choice(_VALUES)
    return text[: place.start(1)] + value + text[place.end(1) :]


def _line(text: str, generator: random.Random) -> str:
    lines = text.splitlines()
    place = generator.randrange(len(lines))
    chance = generator.random()
    if chance < 0.4:
        del lines[place]
    elif chance < 0.7:
        lines.insert(generator.randrange(len(lines)), lines[place])
    else:
        other = generator.randrange(len(lines))
        lines[place], lines[other] = lines[other], lines[place]
    return "\n".join(lines)


def _word(text: str, generator: random.Random) -> str:
    words = [*re.finditer(r"\w+", text)]
    one, other = generator.choice(words), generator.choice(words)
    return text[: one.start()] + other[0] + text[one.end() :]


def _flipped(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.choice((1, 2, 8))):
        changed[generator.randrange(len(changed))] = generator.choice((0, 10, 34, 91, 255, 128))
    return bytes(changed[: generator.choice((len(changed), generator.randrange(len(changed))))])


def _monster(kind: str, generator: random.Random) -> bytes:
    """Few bytes or many, all of which a reader has to work for."""
    many = generator.choice((100, 5000, 100_000, 3_000_000))
    if kind == "ini":
        return generator.choice((
            lambda: seed(kind) + "\n[System_Config.X]\n" + "a=%(a)s\n" * min(many, 100_000),
            lambda: seed(kind) + "\n[System_Config.Ethos_U55_High_End_Embedded]\n",
            lambda: "".join(f"[Memory_Mode.{i}]\n" for i in range(min(many, 300_000))),
            lambda: "[System_Config.Ethos_U55_High_End_Embedded]\ncore_clock=" + "9" * many,
            lambda: seed(kind) + "\n" + "x" * many * 10,
            lambda: seed(kind).replace("[Memory_Mode.Shared_Sram]",
                "[Memory_Mode.Shared_Sram]\ninherit=Memory_Mode.Shared_Sram"),
        ))().encode()  # fmt: skip
    if kind == "plan":
        return generator.choice((
            lambda: "[" * many,
            lambda: '{"a":' * many,
            lambda: '{"version": 1, "segments": [' + ",".join(["{}"] * many) + "]}",
            lambda: '{"version": ' + "9" * many + "}",
            lambda: '{"version": 1, "x' + "x" * many + '": 1}',
            lambda: '{"version": 1, "splits": [{"layer": "a", "over": "rows", "parts": '
            + str(many * 10**9) + "}]}",
        ))().encode()  # fmt: skip
    return generator.choice((
        lambda: "a = " + "[" * many,
        lambda: "a = " + "{a = " * many,
        lambda: "[" + ".".join(["a"] * many) + "]\n",
        lambda: ".".join(["a"] * many) + " = 1\n",
        lambda: "".join(f"a{i} = 1\n" for i in range(min(many, 1_000_000))),
        lambda: "".join(f"[[network]]\npath = '{i}'\n" for i in range(min(many, 200_000))),
        lambda: "a = " + "9" * many,
        lambda: 'a = "' + "\\u0041" * many + '"',
        lambda: "".join(f"[a.b{i}]\nc = 1\n" for i in range(min(many, 300_000))),
        lambda: seed(kind) + "\n#" + "x" * many * 20,
        lambda: seed(kind) + "\nx = [" + "1," * many + "]\n",
        lambda: seed(kind) + "\n[" + "z" * many + "]\n",
    ))().encode()  # fmt: skip
