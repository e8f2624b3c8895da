"""What a run counted in its text, beside what its network learned: n-grams.

A network of a short text is starved; the n-grams of the same text know what it has no room for. The
two are mixed: `softmax(w1 · log p + w2 · log q)`. Begin with `counting`, the estimate, which is
modified Kneser-Ney; `table` is what of it goes into a run, pruned and in 16 bits, and the file of
that; `mixing` is a runtime that has one beside the network, so nothing above knows whether there is
one. When a run gets one, and with which weights, is the matter of `training`.
"""
