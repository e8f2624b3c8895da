/* Loads a library of kernels where there is no Python: has it read three texts with a small model
   of random weights, and prints a checksum of the logits for each precision.

       driver NAME LIBRARY BASELINE

   NAME is that of LIBRARY's build; BASELINE, the library that tells which builds run here. Compiled
   with FAMILY as `gpt` or `recurrent`, whose structures it takes from the source of that name. */

#include <stdio.h>

#define SOURCES 0
#if defined(GPT_MODEL)
#include "gpt.c"
#define FUNCTION "gpt_read"
typedef GPT Model;
#else
#include "recurrent.c"
#define FUNCTION "recurrent_read"
typedef Recurrent Model;
#endif

#if defined(_WIN32)
#include <windows.h>
static void *function(const char *library, const char *name) {
    HMODULE loaded = LoadLibraryA(library);
    return loaded ? (void *)GetProcAddress(loaded, name) : NULL;
}
#else
#include <dlfcn.h>
static void *function(const char *library, const char *name) {
    void *loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!loaded) fprintf(stderr, "%s\n", dlerror());
    return loaded ? dlsym(loaded, name) : NULL;
}
#endif

enum { IN_FLOAT32, IN_FLOAT16, IN_INT8, PRECISIONS };
enum { WIDTH = 64, LAYERS = 2, VOCABULARY = 64, BLOCK = 64, TEXTS = 3, LONGEST = 20 };

static uint32_t seed;

static uint32_t random_bits(void) { return (seed = seed * 1664525u + 1013904223u) >> 8; }

static float *floats(size_t count, float scale) {
    float *made = malloc(count * sizeof(float));
    for (size_t i = 0; i < count; i++) made[i] = ((float)random_bits() * 0x1p-24f - 0.5f) * scale;
    return made;
}

static Matrix matrix(int inputs, int outputs, int precision) {
    Matrix made = {.inputs = inputs, .outputs = outputs, .bias = floats((size_t)outputs, 1)};
    const size_t count = (size_t)inputs * (size_t)outputs;
    if (precision == IN_FLOAT32) made.weights = floats(count, 0.5f);
    if (precision == IN_FLOAT16) { /* up to 2⁻³, and the smallest, which have no exponent */
        uint16_t *halves = malloc(count * sizeof *halves);
        for (size_t i = 0; i < count; i++)
            halves[i] = (uint16_t)((random_bits() & 0x8000) | random_bits() % 0x3000);
        made.halves = halves;
    }
    if (precision == IN_INT8) {
        int8_t *whole = malloc(count);
        int32_t *sums = calloc((size_t)outputs, sizeof *sums);
        for (size_t i = 0; i < count; i++) {
            whole[i] = (int8_t)((int)(random_bits() % 255) - 127);
            sums[i / ((size_t)inputs * TILE) * TILE + i % (4 * TILE) / 4] += whole[i];
        }
        made.quantised = whole, made.sums = sums;
        float *scales = floats((size_t)outputs, 1);
        for (int i = 0; i < outputs; i++) scales[i] = (scales[i] + 1) / 256;
        made.scales = scales;
    }
    return made;
}

#if defined(GPT_MODEL)
enum { STATE = LAYERS * 2 * 2 * BLOCK * 32 };

static Model model_of(int precision) {
    Layer *layers = malloc(LAYERS * sizeof *layers);
    for (int number = 0; number < LAYERS; number++)
        layers[number] = (Layer){
            .norm = floats(WIDTH, 4), .inner_norm = floats(WIDTH, 4),
            .qkv = matrix(WIDTH, 3 * WIDTH, precision), .out = matrix(WIDTH, WIDTH, precision),
            .gate_up = matrix(WIDTH, 4 * WIDTH, precision),
            .down = matrix(2 * WIDTH, WIDTH, precision),
            .cos = floats(BLOCK * 2 * 32, 2), .sin = floats(BLOCK * 2 * 32, 2),
        };
    return (Model){
        .shape = {LAYERS, 2, 32, BLOCK}, .vocab_size = VOCABULARY, .width = WIDTH,
        .inner = 2 * WIDTH, .widest = 4 * WIDTH, .epsilon = 1e-4f, .head_epsilon = 1e-4f,
        .embedding = floats(VOCABULARY * WIDTH, 2), .layers = layers, .norm = floats(WIDTH, 8),
        .head = matrix(WIDTH, VOCABULARY, precision),
    };
}
#else
enum { STATE = LAYERS * 2 * WIDTH };

static Model model_of(int precision) {
    Layer *layers = malloc(LAYERS * sizeof *layers);
    for (int number = 0; number < LAYERS; number++)
        layers[number] = (Layer){WIDTH, matrix(WIDTH, 4 * WIDTH, precision),
                                 matrix(WIDTH, 4 * WIDTH, precision)};
    return (Model){
        .kind = LSTM, .layers = LAYERS, .vocab_size = VOCABULARY, .embedding_width = WIDTH,
        .widest = WIDTH, .most_outputs = 4 * WIDTH, .embedding = floats(VOCABULARY * WIDTH, 2),
        .layer = layers, .output = matrix(WIDTH, VOCABULARY, precision),
    };
}
#endif

/* FNV-1a. */
static uint64_t checksum(const void *data, size_t count) {
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < count; i++) sum = (sum ^ ((const uint8_t *)data)[i]) * 1099511628211u;
    return sum;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    int (*can_run)(const char *) = (int (*)(const char *))function(arguments[3], "can_run");
    if (!can_run) return 3;
    if (!can_run(arguments[1])) {
        puts("not here");
        return 0;
    }
    int (*read)(const Model *, const Batch *, int, float *) =
        (int (*)(const Model *, const Batch *, int, float *))function(arguments[2], FUNCTION);
    if (!read) return 3;
    for (int precision = 0; precision < PRECISIONS; precision++) {
        seed = 1;
        const Model model = model_of(precision);
        static const int32_t lengths[TEXTS] = {LONGEST, 1, 7}, positions[TEXTS] = {0};
        int64_t tokens[LONGEST];
        for (int i = 0; i < LONGEST; i++) tokens[i] = random_bits() % VOCABULARY;
        const int64_t *texts[TEXTS] = {tokens, tokens + 2, tokens + 4};
        float *states[TEXTS], logits[TEXTS * VOCABULARY];
        for (int text = 0; text < TEXTS; text++) states[text] = calloc(STATE, sizeof(float));
        const Batch batch = {TEXTS, lengths, texts, states, positions};
        if (read(&model, &batch, LAST_LOGITS, logits)) return 4;
        printf("%016llx ", (unsigned long long)checksum(logits, sizeof logits));
    }
    puts("");
    return 0;
}
