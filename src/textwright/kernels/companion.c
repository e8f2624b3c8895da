/* Logits of a network mixed with a table of n-grams: network · logit + companion · log q, where both
   weights depend on how many tokens of context the table knows; and a term for a line's end.

   The table is a tree whose nodes are n-grams, those of one token first, each node's children side
   by side in order of their tokens. A text's state is the nodes of its last 1, 2 … tokens, −1 where
   an n-gram isn't in it, and how many tokens of its line there are. Logarithms are whole numbers, so
   only the last lines of all round: two products and sums, each by itself. */

#include "products.h"

typedef struct {
    int32_t vocab_size;
    int32_t contexts; /* nodes of a state: tokens of the longest n-gram, less 1 */
    int32_t newline; /* the token that ends a line */
    int32_t columns; /* lengths of a line that have a term; 0: nothing is added */
    const int32_t *folded; /* as what each token counts where it is context */
    const int32_t *tokens; /* of each node the last */
    const int32_t *first; /* of each node, and one more: its first child */
    const int16_t *log_probabilities;
    const int16_t *backoffs;
    const float *network; /* by tokens of context that are known, contexts + 1 */
    const float *companion; /* likewise, of a logarithm's 1 */
    const float *lines; /* what is added to the logit of a line's end, by the line's length */
} Companion;

static int32_t child_of(const Companion *model, int32_t node, int32_t token) {
    if (node < 0) return -1;
    int32_t low = model->first[node], end = model->first[node + 1], high = end;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (model->tokens[middle] < token) low = middle + 1;
        else high = middle;
    }
    return low < end && model->tokens[low] == token ? low : -1;
}

static void advance(const Companion *model, int32_t *state, int32_t token) {
    const int32_t context = model->folded[token];
    for (int k = model->contexts - 1; k > 0; k--) state[k] = child_of(model, state[k - 1], context);
    if (model->contexts) state[0] = context;
    int32_t *column = &state[model->contexts];
    if (model->columns && token == model->newline) *column = 0;
    else if (*column < INT32_MAX) ++*column;
}

static void mix(const Companion *model, const int32_t *state, int32_t *scores, float *logits) {
    const int size = model->vocab_size;
    for (int token = 0; token < size; token++) scores[token] = model->log_probabilities[token];
    int known = 0;
    for (; known < model->contexts; known++) {
        const int32_t node = state[known];
        if (node < 0 || model->first[node] == model->first[node + 1]) break;
        const int32_t backoff = model->backoffs[node];
        for (int token = 0; token < size; token++) scores[token] += backoff;
        for (int32_t i = model->first[node]; i < model->first[node + 1]; i++)
            scores[model->tokens[i]] = model->log_probabilities[i];
    }
    const float network = model->network[known], companion = model->companion[known];
    for (int token = 0; token < size; token++)
        logits[token] = logits[token] * network + (float)scores[token] * companion;
    if (model->columns) {
        const int32_t column = state[model->contexts];
        logits[model->newline] += model->lines[column < model->columns ? column : model->columns - 1];
    }
}

/* Take the states past pieces of several texts, and mix the logits of a network that read them: those
   after the last token of each, or, of one text alone, after every one.

   Returns 0; 1 where a token is out of range, and 2 where there is no memory, before anything is
   changed. */
EXPORT int companion_mix(const Companion *model, const Batch *batch, int wanted, float *logits) {
    for (int text = 0; text < batch->count; text++) {
        if (batch->lengths[text] < 1 || (wanted == ALL_LOGITS && text)) return 1;
        for (int i = 0; i < batch->lengths[text]; i++)
            if (batch->tokens[text][i] < 0 || batch->tokens[text][i] >= model->vocab_size) return 1;
    }
    int32_t *scores = malloc(sizeof(int32_t) * (size_t)model->vocab_size);
    if (!scores) return 2;
    for (int text = 0; text < batch->count; text++) {
        int32_t *state = (int32_t *)(void *)batch->states[text];
        const int last = batch->lengths[text] - 1;
        for (int i = 0; i <= last; i++) {
            advance(model, state, (int32_t)batch->tokens[text][i]);
            if (wanted == NO_LOGITS || (wanted == LAST_LOGITS && i < last)) continue;
            mix(model, state, scores, logits);
            logits += model->vocab_size;
        }
    }
    free(scores);
    return 0;
}
