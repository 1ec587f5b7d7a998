"""What Python makes of random restrictions: `python3 benches/peers/expressions.py > tests/data/python_expressions.tsv`.

A line: values of x, y (whole), f (float), b (bool), s (text), the expression, and what bool(eval(…)) gives: True, False, or the
name of the error. Precedence is tested by leaving parentheses out at random.
"""
import random

random.seed(20261121)
LINES = 1500


def number(depth):
    if depth == 0 or random.random() < 0.15:
        return random.choice(["x", "y", "f", "b", "x", "y", "2", "3", "-4", "0.5", "7", "1", "1.5", "True", "0"])
    a, b = number(depth - 1), number(depth - 1)
    kind = random.randrange(14)
    if kind < 8:
        text = f"{a} {random.choice(['+', '-', '*', '/', '//', '%', '*', '-'])} {b}"
        return f"({text})" if random.random() < 0.5 else text
    if kind == 8:
        return f"min({a}, {b})"
    if kind == 9:
        return f"max({a}, {b}, {number(depth - 1)})"
    if kind == 10:
        return f"abs({a})"
    if kind == 11:
        return f"-{random.choice('xyf')} ** {random.choice(['2', '3', '0', '1'])}"
    if kind == 12:
        return f"({a} if {truth(depth - 1)} else {b})"
    return f"({a} {random.choice(['and', 'or'])} {b})"


def truth(depth):
    kind = random.randrange(12)
    if depth == 0 or kind < 4:
        signs = ["<", "<=", ">", ">=", "==", "!="]
        text = f"{number(max(depth - 1, 0))} {random.choice(signs)} {number(max(depth - 1, 0))}"
        if random.random() < 0.25:
            text += f" {random.choice(signs)} {number(max(depth - 1, 0))}"
        return text
    if kind == 4:
        return f"s {random.choice(['==', '!=', '<', '>='])} {random.choice(['s', repr('a'), repr('bc'), repr('')])}"
    if kind == 5:
        return f"{number(depth - 1)} {random.choice(['in', 'not in'])} ({number(depth - 1)}, {number(depth - 1)}, 2)"
    if kind == 6:
        return f"s {random.choice(['in', 'not in'])} ['a', 'bc']"
    if kind == 7:
        return f"not {truth(depth - 1)}"
    if kind == 8:
        return f"({truth(depth - 1)} if {truth(depth - 1)} else {truth(depth - 1)})"
    if kind == 9:
        return number(depth)
    a, b = truth(depth - 1), truth(depth - 1)
    text = f"{a} {random.choice(['and', 'or'])} {b}"
    return f"({text})" if random.random() < 0.4 else text


seen = 0
while seen < LINES:
    text = truth(4)
    if len(text) > 160:
        continue
    values = {
        "x": random.randint(-9, 9),
        "y": random.randint(-9, 9),
        "f": random.choice([-2.5, -1.0, 0.1, 0.0, 1.0, 0.3, 7.5, 1e-3]),
        "b": random.choice([True, False]),
        "s": random.choice(["a", "bc", ""]),
    }
    try:
        found = str(bool(eval(text, {"__builtins__": {}, "min": min, "max": max, "abs": abs}, values)))
    except ZeroDivisionError:
        found = "ZeroDivisionError"
    print(values["x"], values["y"], values["f"], values["b"], values["s"], text, found, sep="\t")
    seen += 1
