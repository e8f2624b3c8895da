"""Train on a text, watch it learn, and let it write: the whole of textwright in one page.

python examples/train_and_generate.py my_novel.txt --minutes 1
"""

from __future__ import annotations

import argparse

import textwright as tw
from textwright.training import Evaluation, Observer, Sample


class Watch(Observer):
    """Prints a line an evaluation: how good the model is, and the first words of its sample."""

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        words = " ".join(sample.text.split())[:60]
        print(f"step {evaluation.step:>6,}  {evaluation.val_bits_per_char:.3f} bits  {words}")


def main() -> None:
    """Read the arguments, train, generate."""
    parser = argparse.ArgumentParser(description="Train on a text and let it write.")
    parser.add_argument("text", nargs="*", help="files or folders; none takes a built-in text")
    parser.add_argument("--minutes", type=float, help="how long to train (default: 1)")
    parser.add_argument("--steps", type=int, help="how long to train, in steps")
    parser.add_argument("--model", default="lstm", help="lstm, gru, rnn, gpt or transformer")
    options = parser.parse_args()
    if options.minutes is None and options.steps is None:
        options.minutes = 1.0

    run = tw.train(
        *options.text,
        model=options.model,
        minutes=options.minutes,
        steps=options.steps,
        observers=[Watch()],
    )

    model = tw.load(run)
    for temperature in (0.0, 0.5, 0.8, 1.2):
        print(f"\n--- temperature {temperature}")
        print(model.generate(max_tokens=200, temperature=temperature, seed=1).text)
    print(f"\nthe report: {run.report_file}")


if __name__ == "__main__":
    main()
