"""Watch a model hesitate: every token it writes, in a colour that says how sure it was.

python examples/watch_probabilities.py my_novel "It was"

Green tokens were near certain, red ones were guesses. In brackets stand the surest alternatives
wherever the model was torn. The last line sums up: entropy is what an ideal code would need, in
bits a token, to tell what comes next.
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console
from rich.text import Text

import textwright as tw


def entropy(distribution: np.ndarray) -> float:
    """Bits that the next token is worth, on average, to someone who knows the distribution."""
    likely = distribution[distribution > 0]
    return float(-(likely * np.log2(likely)).sum())


def colour(probability: float) -> str:
    """From red (a guess) over yellow to green (certain)."""
    red, green = min(1.0, 2 - 2 * probability), min(1.0, 2 * probability)
    return f"rgb({int(220 * red)},{int(200 * green)},60)"


def main() -> None:
    """Read the arguments, generate token by token, show each."""
    parser = argparse.ArgumentParser(description="Watch a model hesitate.")
    parser.add_argument("run", help="a run: its name or its folder")
    parser.add_argument("prompt", nargs="?", default="")
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    model = tw.load(options.run)
    text = Text(options.prompt, style="bold")
    bits = []
    for step in model.steps(options.prompt, max_tokens=options.tokens, seed=options.seed):
        text.append(step.text, style=colour(step.probability))
        bits.append(entropy(step.distribution))
        if bits[-1] > 3.0:
            others = [t for t in np.argsort(-step.distribution)[:3] if t != step.token]
            names = " ".join(repr(model.tokenizer.token_text(int(t))) for t in others)
            text.append(f"[{names}]", style="dim")

    console = Console(highlight=False)
    console.print(text)
    console.print(f"\n{len(bits)} tokens, {np.mean(bits):.2f} bits of entropy each", style="dim")


if __name__ == "__main__":
    main()
