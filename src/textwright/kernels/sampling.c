/* Drawing the next token: read it beside textwright/generation/sampling.py, whose numbers these are
   to the last bit, step by step. Everything but bias and penalties by count is in float64. */

#include "products.h"

/* One text's settings, and what changes while it is drawn. */
typedef struct {
    int32_t vocab_size, top_k;
    double temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty;
    int32_t suppressed_count, biased_count, ends_count;
    int32_t read_count; /* ids in `read` */
    int32_t drawn_count; /* … and in `drawn` */
    int32_t words_left; /* of `words` */
    const int32_t *suppressed; /* ids that are never drawn */
    const int32_t *biased; /* ids … */
    const float *bias; /* … and what is added to their logits */
    const int32_t *ends; /* ids after which nothing is written */
    int32_t *read; /* ids of the text, each once; null without a repetition penalty */
    uint8_t *was_read; /* of each id */
    int32_t *drawn; /* ids that were drawn, each once; null without bias and penalties by count */
    int32_t *times; /* of each id */
    uint64_t key, counter; /* of the random stream */
    uint64_t words[4]; /* its present block */
} Sampler;

/* Scratch for one draw, of a vocabulary's size each. */
typedef struct {
    double *scores, *some;
    int32_t *ids, *order;
} Room;

enum { DOUBLES = LANES / 2 };
typedef double Doubles __attribute__((vector_size(4 * LANES)));
typedef uint64_t Words __attribute__((vector_size(4 * LANES)));
typedef double DoublesInMemory __attribute__((vector_size(4 * LANES), aligned(8), may_alias));

static int reserve(Room *room, int32_t vocab_size) {
    const size_t size = (size_t)(vocab_size + 15) / 16 * 16; /* vectors reach behind the last */
    room->scores = malloc(size * (2 * sizeof(double) + 2 * sizeof(int32_t)));
    if (!room->scores) return 0;
    room->some = room->scores + size;
    room->ids = (int32_t *)(room->some + size);
    room->order = room->ids + size;
    return 1;
}

/* --- eˣ and ln x ------------------------------------------------------------------------------- */

/* x[i] = e^x[i] for x ≤ 0, to about one unit in the last place; 0 below −708, before numbers lose
   their leading 1. x = n ln 2 + r, and eʳ is a quotient of polynomials (Cephes, exp). */
static void exponentials(double *x, int count) {
    for (int i = 0; i < count; i += DOUBLES) {
        DoublesInMemory *at = (DoublesInMemory *)(x + i);
        const Doubles zero = {0}, given = *at;
        const Words vanishes = (Words)(given < -708.0);
        const Doubles y = (Doubles)(((Words)given & ~vanishes) | ((Words)(zero - 708.0) & vanishes));
        const Doubles shifted = y * 1.4426950408889634 + 6755399441055744.0; /* 1.5 × 2⁵² */
        const Doubles n = shifted - 6755399441055744.0;
        const Doubles r = y - n * 6.93145751953125e-1 - n * 1.42860682030941723212e-6;
        const Doubles square = r * r;
        Doubles p = square * 1.26177193074810590878e-4 + 3.02994407707441961300e-2;
        p = r * (p * square + 9.99999999999999999910e-1);
        Doubles q = square * 3.00198505138664455042e-6 + 2.52448340349684104192e-3;
        q = (q * square + 2.27265548208155028766e-1) * square + 2.0;
        const Doubles power = 1.0 + 2.0 * (p / (q - p));
        *at = (Doubles)(((Words)power + ((Words)shifted << 52)) & ~vanishes);
    }
}

/* ln x for x ≥ 1, to about one unit in the last place (Cephes, log). */
static double logarithm(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof x);
    double n = (double)(int64_t)(bits >> 52) - 1022.0, m; /* x = 2ⁿ m, m from ½ to 1 */
    bits = (bits & 0xfffffffffffff) | 0x3fe0000000000000;
    memcpy(&m, &bits, sizeof m);
    if (m < 0.70710678118654752440) n -= 1.0, m *= 2.0;
    m -= 1.0;
    const double square = m * m;
    double p = 1.01875663804580931796e-4;
    p = p * m + 4.97494994976747001425e-1;
    p = p * m + 4.70579119878881725854;
    p = p * m + 1.44989225341610930846e1;
    p = p * m + 1.79368678507819816313e1;
    p = p * m + 7.70838733755885391666;
    double q = m + 1.12873587189167450590e1;
    q = q * m + 4.52279145837532221105e1;
    q = q * m + 8.29875266912776603211e1;
    q = q * m + 7.11544750618563894466e1;
    q = q * m + 2.31251620126765340583e1;
    double y = m * (square * p / q) - n * 2.121944400546905827679e-4;
    y -= 0.5 * square;
    return (m + y) + n * 0.693359375;
}

/* --- the random stream -------------------------------------------------------------------------- */

/* The product of two words; its upper half goes to `high`. */
INLINE uint64_t multiply(uint64_t a, uint64_t b, uint64_t *high) {
#if defined(__SIZEOF_INT128__)
    const unsigned __int128 product = (unsigned __int128)a * b;
    *high = (uint64_t)(product >> 64);
#else
    const uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (uint32_t)middle;
    *high = a1 * b1 + (middle >> 32) + (other >> 32);
#endif
    return a * b;
}

/* A number in [0, 1): the upper 53 bits of the next word of Philox 4×64 with ten rounds (Salmon et
   al., 2011), as NumPy counts its blocks: from 1. */
static double uniform(Sampler *sampler) {
    if (!sampler->words_left) {
        uint64_t a = ++sampler->counter, b = 0, c = 0, d = 0, k = sampler->key, l = 0;
        for (int round = 0; round < 10; round++) {
            uint64_t high_a, high_c;
            const uint64_t low_a = multiply(0xD2E7470EE14C6C93, a, &high_a);
            const uint64_t low_c = multiply(0xCA5A826395121157, c, &high_c);
            a = high_c ^ b ^ k, b = low_c, c = high_a ^ d ^ l, d = low_a;
            k += 0x9E3779B97F4A7C15, l += 0xBB67AE8584CAA73B;
        }
        memcpy(sampler->words, (uint64_t[4]){a, b, c, d}, sizeof sampler->words);
        sampler->words_left = 4;
    }
    return (double)(sampler->words[4 - sampler->words_left--] >> 11) * 0x1p-53;
}

/* --- the steps ---------------------------------------------------------------------------------- */

/* The highest; NaN where one of them is. */
static double highest(const double *scores, int count) {
    const Doubles zero = {0};
    Doubles tops = zero - INFINITY;
    Words numbers = ~(Words){0};
    int i = 0;
    for (; i + DOUBLES <= count; i += DOUBLES) {
        const Doubles some = *(const DoublesInMemory *)(scores + i);
        const Words larger = (Words)(some > tops);
        tops = (Doubles)((larger & (Words)some) | (~larger & (Words)tops));
        numbers &= (Words)(some == some);
    }
    double most = -INFINITY;
    int is_number = 1;
    for (; i < count; i++) {
        most = scores[i] > most ? scores[i] : most;
        is_number &= scores[i] == scores[i];
    }
    for (int lane = 0; lane < DOUBLES; lane++) {
        most = tops[lane] > most ? tops[lane] : most;
        is_number &= numbers[lane] != 0;
    }
    return is_number ? most : NAN;
}

/* Logits in float64 after bias, penalties and what is never drawn. */
static void score(const Sampler *sampler, const float *logits, double *scores) {
    for (int id = 0; id < sampler->vocab_size; id++) scores[id] = logits[id];
    for (int i = 0; i < sampler->biased_count; i++) {
        double *at = scores + sampler->biased[i];
        *at = (float)*at + sampler->bias[i];
    }
    for (int i = 0; i < sampler->drawn_count; i++) {
        const int32_t id = sampler->drawn[i];
        const double penalty = sampler->times[id] * sampler->frequency_penalty;
        scores[id] = (float)scores[id] - (float)(sampler->presence_penalty + penalty);
    }
    for (int i = 0; i < sampler->read_count; i++) {
        double *at = scores + sampler->read[i];
        *at = *at > 0 ? *at / sampler->repetition_penalty : *at * sampler->repetition_penalty;
    }
    for (int i = 0; i < sampler->suppressed_count; i++) scores[sampler->suppressed[i]] = -INFINITY;
}

INLINE double middle(double a, double b, double c) {
    return a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
}

/* The k-th highest of `count` numbers, which are moved (Hoare's FIND, 1961). */
static double kth_highest(double *numbers, int count, int k) {
    int from = 0, to = count - 1;
    const int wanted = count - k;
    while (from < to) {
        const double pivot = middle(numbers[from], numbers[(from + to) / 2], numbers[to]);
        int i = from, j = to;
        do {
            while (numbers[i] < pivot) i++;
            while (pivot < numbers[j]) j--;
            if (i > j) break;
            const double moved = numbers[i];
            numbers[i++] = numbers[j], numbers[j--] = moved;
        } while (i <= j);
        if (wanted <= j) to = j;
        else if (wanted >= i) from = i;
        else break;
    }
    return numbers[wanted];
}

/* The ids of the `k` highest, ascending, of equals the lowest; and their scores, side by side. */
static void keep_likeliest(const Room *room, int count, int k) {
    memcpy(room->some, room->scores, sizeof(double) * (size_t)count);
    const double lowest = kth_highest(room->some, count, k);
    int above = 0, kept = 0;
    for (int id = 0; id < count; id++) above += room->scores[id] > lowest;
    for (int id = 0, equal = k - above; kept < k; id++)
        if (room->scores[id] > lowest || (room->scores[id] == lowest && equal-- > 0)) {
            room->ids[kept] = id;
            room->scores[kept++] = room->scores[id];
        }
}

/* Whether one weight comes before another: the larger, of equals the one of the lower id. */
INLINE int before(const double *weights, int a, int b) {
    return weights[a] > weights[b] || (weights[a] == weights[b] && a < b);
}

/* Let the root of a heap sink to its place. */
static void sink(const double *weights, int32_t *heap, int count, int at) {
    for (int child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(weights, heap[child + 1], heap[child])) child++;
        if (!before(weights, heap[child], heap[at])) return;
        const int32_t moved = heap[at];
        heap[at] = heap[child], heap[child] = moved;
    }
}

/* Keep the places of `kept`, ascending. */
static int keep(const Room *room, const uint8_t *kept, int count) {
    int left = 0;
    for (int i = 0; i < count; i++)
        if (kept[i]) {
            room->ids[left] = room->ids[i];
            room->scores[left++] = room->scores[i];
        }
    return left;
}

/* The likeliest that together reach the share `top_p` of all, the one that reaches it included. */
static int keep_nucleus(const Room *room, int count, double top_p) {
    const double *weights = room->scores;
    uint8_t *kept = (uint8_t *)room->some;
    double total = 0, sum = 0;
    for (int i = 0; i < count; i++) kept[i] = 0, room->order[i] = i, total += weights[i];
    for (int i = count / 2; i--;) sink(weights, room->order, count, i);
    for (int left = count; left; ) {
        const int first = room->order[0];
        kept[first] = 1;
        if ((sum += weights[first]) >= top_p * total) break;
        room->order[0] = room->order[--left];
        sink(weights, room->order, left, 0);
    }
    return keep(room, kept, count);
}

/* The next token; −1 where logits are NaN or infinite, or all ids are suppressed. */
static int64_t draw(Sampler *sampler, const float *logits, const Room *room) {
    double *scores = room->scores;
    int count = sampler->vocab_size, truncated = 0;
    score(sampler, logits, scores);
    const double most = highest(scores, count);
    if (!(fabs(most) < INFINITY)) return -1;
    if (sampler->temperature == 0) {
        int id = 0;
        while (scores[id] != most) id++;
        return id;
    }
    for (int id = 0; id < count; id++) scores[id] = (scores[id] - most) / sampler->temperature;
    if (0 < sampler->top_k && sampler->top_k < count) {
        keep_likeliest(room, count, sampler->top_k);
        count = sampler->top_k, truncated = 1;
    }
    exponentials(scores, count);
    if (!truncated && (sampler->top_p < 1 || sampler->min_p > 0)) {
        for (int id = 0; id < count; id++) room->ids[id] = id;
        truncated = 1;
    }
    if (sampler->top_p < 1) count = keep_nucleus(room, count, sampler->top_p);
    if (sampler->min_p > 0) {
        uint8_t *kept = (uint8_t *)room->some;
        for (int i = 0; i < count; i++) kept[i] = scores[i] >= sampler->min_p;
        count = keep(room, kept, count);
    }
    double total = 0, reached = 0;
    for (int i = 0; i < count; i++) total += scores[i];
    const double point = uniform(sampler) * total;
    /* Rounding may give the total itself: then the token whose weight reached it is drawn. */
    int i = 0;
    for (;; i++) {
        reached += scores[i];
        if (point < total ? reached > point : reached >= total) break;
    }
    return truncated ? room->ids[i] : i;
}

/* Draw, and remember what penalties count. */
static int64_t draw_one(Sampler *sampler, const float *logits, const Room *room) {
    const int64_t token = draw(sampler, logits, room);
    if (token < 0) return token;
    if (sampler->read && !sampler->was_read[token]) {
        sampler->was_read[token] = 1;
        sampler->read[sampler->read_count++] = (int32_t)token;
    }
    if (sampler->times && !sampler->times[token]++)
        sampler->drawn[sampler->drawn_count++] = (int32_t)token;
    return token;
}

/* The next token of a text; −1 as above, −2 where there is no memory. */
EXPORT int64_t sampler_draw(Sampler *sampler, const float *logits) {
    Room room;
    if (!reserve(&room, sampler->vocab_size)) return -2;
    const int64_t token = draw_one(sampler, logits, &room);
    free(room.scores);
    return token;
}

/* Log probabilities, (vocab_size,), and the ids of the `wanted` likeliest, the likeliest first, of
   equals the lowest id. Returns 1; 0 where logits are NaN or infinite: then all are NaN and there
   are no ids; −2 where there is no memory. */
EXPORT int log_softmax(const float *logits, int32_t vocab_size, double *logs, int32_t wanted,
                       int32_t *ids) {
    for (int id = 0; id < vocab_size; id++) logs[id] = logits[id];
    const double most = highest(logs, vocab_size);
    if (!(fabs(most) < INFINITY)) {
        for (int id = 0; id < vocab_size; id++) logs[id] = NAN;
        return 0;
    }
    Room room;
    if (!reserve(&room, vocab_size)) return -2;
    double total = 0;
    for (int id = 0; id < vocab_size; id++) room.scores[id] = logs[id] - most;
    memcpy(logs, room.scores, sizeof(double) * (size_t)vocab_size);
    exponentials(room.scores, vocab_size);
    for (int id = 0; id < vocab_size; id++) total += room.scores[id];
    total = logarithm(total);
    for (int id = 0; id < vocab_size; id++) logs[id] -= total, room.order[id] = id;
    if (wanted)
        for (int id = vocab_size / 2; id--;) sink(logs, room.order, vocab_size, id);
    for (int i = 0, left = vocab_size; i < wanted; i++) {
        ids[i] = room.order[0];
        room.order[0] = room.order[--left];
        sink(logs, room.order, left, 0);
    }
    free(room.scores);
    return 1;
}

/* --- many tokens -------------------------------------------------------------------------------- */

/* A text that is written: its model's state, its sampler, and what comes of it. */
typedef struct {
    float *state;
    Sampler *sampler;
    int64_t token; /* drawn, and to be read next */
    int64_t *drawn; /* … after it, `limit` at most; −1 as `sampler_draw` has it */
    float *logits; /* those that each is drawn from, (limit, vocab_size), or null */
    int32_t position; /* of `token` in its window */
    int32_t limit; /* 1 at least */
    int32_t count; /* of `drawn` */
} Text;

typedef int Read(const void *model, const Batch *batch, int wanted, float *logits);

static int has_ended(const Text *text) {
    if (text->count == text->limit || text->token < 0) return 1;
    for (int i = 0; i < text->sampler->ends_count; i++)
        if (text->token == text->sampler->ends[i]) return 1;
    return 0;
}

/* Write several texts of one model further, each until its limit, an end of text or an error.
   Returns 0, or what `read` returned where it failed at once: then nothing was drawn. Where it fails
   later, what was drawn before stands. */
EXPORT int write_texts(Read *read, const void *model, Text *texts, int32_t count,
                       int32_t vocab_size) {
    Room room = {0};
    Text **left = malloc((size_t)count * (sizeof *left + 2 * sizeof(void *) + 2 * sizeof(int32_t)));
    float *logits = malloc(sizeof(float) * (size_t)count * (size_t)vocab_size);
    const int64_t **tokens = (const int64_t **)(left + count);
    float **states = (float **)(tokens + count);
    int32_t *lengths = (int32_t *)(states + count), *positions = lengths + count;
    int status = left && logits && reserve(&room, vocab_size) ? 0 : 2;
    if (status) count = 0;
    for (int i = 0; i < count; i++) left[i] = texts + i;
    for (int active = count; active && !status;) {
        for (int i = 0; i < active; i++) {
            tokens[i] = &left[i]->token, states[i] = left[i]->state;
            lengths[i] = 1, positions[i] = left[i]->position++;
        }
        const Batch batch = {active, lengths, tokens, states, positions};
        if ((status = read(model, &batch, LAST_LOGITS, logits))) {
            status = texts->count ? 0 : status;
            break;
        }
        int going_on = 0;
        for (int i = 0; i < active; i++) {
            Text *text = left[i];
            const float *own = logits + (size_t)i * (size_t)vocab_size;
            if (text->logits)
                memcpy(text->logits + (size_t)text->count * (size_t)vocab_size, own,
                       sizeof(float) * (size_t)vocab_size);
            text->token = draw_one(text->sampler, own, &room);
            text->drawn[text->count++] = text->token;
            if (!has_ended(text)) left[going_on++] = text;
        }
        active = going_on;
    }
    free(room.scores);
    free(left);
    free(logits);
    return status;
}
