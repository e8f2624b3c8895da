"""The usual tutorial: a FastAPI route around PyTorch's `generate`. A peer in `serving_peers.py`.

    python benchmarks/tutorial_server.py MODEL_FOLDER PORT

A plain `def` route, as tutorials have it: FastAPI runs it in a thread of its pool, so that requests
at once run `generate` at once, each for itself.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from transformers import AutoModelForCausalLM, AutoTokenizer

app = FastAPI()
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])


@app.post("/v1/completions")
def completions(body: dict[str, Any]) -> dict[str, Any]:
    inputs = tokenizer(body["prompt"], return_tensors="pt")
    inputs.pop("token_type_ids", None)
    with torch.inference_mode():
        output = model.generate(
            **inputs, max_new_tokens=body["max_tokens"], do_sample=True, eos_token_id=None
        )
    drawn = output[0, inputs["input_ids"].shape[1] :]
    usage = {"completion_tokens": len(drawn)}
    return {"choices": [{"text": tokenizer.decode(drawn)}], "usage": usage}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
