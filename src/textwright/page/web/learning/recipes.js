// The sizes and the recipe of `textwright train`, out of Python: `tests/page/test_tab_recipes.py`
// writes this file, and fails where it says something else.

export const RECIPES = {
  "sizes": {"lstm": {"pico": {"model": {"family": "lstm", "block_size": 64, "num_layers": 1, "dropout": 0.0, "hidden_size": 256, "embedding_size": 64, "tie_embeddings": false}, "training": {"batch_size": 32, "learning_rate": 0.008, "matrix_learning_rate": 0.03, "weight_decay": 0.03, "momentum": 0.9, "fresh_starts": 0.1}}, "nano": {"model": {"family": "lstm", "block_size": 64, "num_layers": 2, "dropout": 0.0, "hidden_size": 256, "embedding_size": 64, "tie_embeddings": false}, "training": {"batch_size": 32, "learning_rate": 0.008, "matrix_learning_rate": 0.03, "weight_decay": 0.03, "momentum": 0.9, "fresh_starts": 0.1}}}, "gpt": {"pico": {"model": {"family": "gpt", "block_size": 128, "num_layers": 2, "dropout": 0.0, "hidden_size": 128, "num_heads": 4, "tie_embeddings": false, "intermediate_size": 352, "rope_theta": 10000.0, "rms_norm_eps": 1e-06}, "training": {"batch_size": 8, "learning_rate": 0.006, "matrix_learning_rate": 0.02, "weight_decay": 0.03, "momentum": 0.9}}, "nano": {"model": {"family": "gpt", "block_size": 128, "num_layers": 4, "dropout": 0.0, "hidden_size": 128, "num_heads": 4, "tie_embeddings": false, "intermediate_size": 352, "rope_theta": 10000.0, "rms_norm_eps": 1e-06}, "training": {"batch_size": 8, "learning_rate": 0.006, "matrix_learning_rate": 0.02, "weight_decay": 0.03, "momentum": 0.9}}}},
  "training": {"seed": 1, "parent": null, "steps": null, "epochs": null, "minutes": null, "batch_size": 8, "micro_batch_size": 0, "shards": 0, "optimizer": "muon", "learning_rate": 0.003, "matrix_learning_rate": 0.02, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "momentum": 0.95, "warmup": 0.02, "schedule": "linear", "decay": 0.6, "final_learning_rate": 0.0, "gradient_clip": 1.0, "ema_decay": 0.0, "fresh_starts": 0.0, "sampled_softmax": null, "patience": 10, "eval_every": null, "eval_tokens": null, "checkpoint_every": null, "keep_checkpoints": 2, "sample_prompt": "", "sample_tokens": 200, "device": "auto", "precision": "auto", "compile": "auto", "loss_on": "both", "companion": "auto", "threads": 0},
  "sampling": {"temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0, "stop": [], "seed": null},
  "corpus": {"sources": [], "validation": null, "validation_fraction": 0.1, "form": "auto", "encoding": null, "field": null, "assistant": null},
  "tokenizer": {"kind": "char", "vocab_size": null, "lowercase": false},
  "tokenizer_file": {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": {"type": "NFC"}, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"}, "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {}, "merges": []}},
  "continued_rate": 0.1,
  "no_help": 2.0,
  "large_vocabulary": 1024,
  "dropout_by_epochs": [[7.0, 0.1], [14.0, 0.2], [50.0, 0.3]],
  "dropout_of_many_epochs": 0.2,
  "crowded": 5.0,
  "dropout_where_crowded": 0.4,
  "short": 4096,
  "aim": 0.96,
  "evaluation_share": 0.04,
  "most_evaluations": 20,
  "fewest_evaluations": 4,
  "fewest_tokens": 4096,
  "learned_by_read": 3.0,
  "streams": 32,
  "stream_warmup": 256,
  "verdict": {"gain": 0.01, "level_spread": 0.05, "rise": 0.01, "diverged": 0.3, "late_share": 0.25, "min_steps": 100, "min_evaluations": 3},
};
