/* What this library is, and which builds of the kernels this processor can run. */

#include "vectors.h"

#if (defined(__aarch64__) || defined(__ARM_NEON)) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(_WIN32)
#include <windows.h>
#endif

#if defined(__x86_64__)
#include <cpuid.h>

/* Which registers the operating system keeps when it switches between programs. */
static uint32_t registers_kept(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int has(uint32_t flags, int bit) { return flags >> bit & 1; }
#endif

#if defined(__aarch64__)
/* Whether it has SDOT, the sum of four products of bytes; Arm leaves asking to the operating system. */
static int has_dot_products(void) {
#if defined(__linux__)
    return getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */
#elif defined(_WIN32)
    return IsProcessorFeaturePresent(43); /* PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE */
#else
    return 0; /* no build of that name is made: a Mac's baseline has it */
#endif
}
#endif

/* The checksum of the sources that this was made of; hatch_build.py gives it. */
EXPORT uint32_t made_of(void) { return SOURCES; }

/* Whether it can run a build, by its name in hatch_build.py, which makes them. */
EXPORT int can_run(const char *build) {
#if defined(__arm__) && defined(__ARM_NEON) && defined(__linux__)
    /* Of 32 bits, the oldest have no vectors. */
    if (!strcmp(build, "baseline")) return getauxval(AT_HWCAP) >> 12 & 1; /* HWCAP_NEON */
#endif
    if (!strcmp(build, "baseline")) return 1;
#if defined(__x86_64__)
    uint32_t a, b, c, d, basic, extended_b, extended_c, more_a = 0;
    if (!__get_cpuid(1, &a, &b, &basic, &d) || !has(basic, 27) /* OSXSAVE */) return 0;
    if (!__get_cpuid_count(7, 0, &a, &extended_b, &extended_c, &d)) return 0;
    if (a >= 1) __get_cpuid_count(7, 1, &more_a, &b, &c, &d);
    const uint32_t kept = registers_kept();
    const int avx2 = (kept & 0x06) == 0x06 && has(basic, 28) && has(basic, 12) /* FMA */ &&
        has(basic, 29) /* F16C */ && has(extended_b, 5);
    if (!strcmp(build, "avx2")) return avx2;
    if (!strcmp(build, "avxvnni")) return avx2 && has(more_a, 4);
    if (!strcmp(build, "avx512"))
        return avx2 && (kept & 0xe6) == 0xe6 && has(extended_b, 16) /* F */ &&
            has(extended_b, 17) /* DQ */ && has(extended_b, 30) /* BW */ &&
            has(extended_b, 31) /* VL */ && has(extended_c, 11) /* VNNI */;
#elif defined(__aarch64__)
    if (!strcmp(build, "dotprod")) return has_dot_products();
#endif
    return 0;
}
