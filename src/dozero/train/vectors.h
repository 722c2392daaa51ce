/* Some numbers at a time, as GCC and clang know them on any CPU: what fused.c and attend.c are written in. As many as a
 * register holds: of longer vectors GCC makes memory.
 *
 * Numbers are floats, or "low": bfloat16, floats without their lower 16 bits. Sums are in float always.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#define ME omp_get_thread_num()
#else
#define ME 0
#endif

#define UNROLLED _Pragma("GCC unroll 16")
#define INLINE static inline __attribute__((always_inline))
#define CALLED static __attribute__((noinline)) /* large: a copy at each place would take seconds to compile and save nothing */
#if defined(__AVX512F__)
#define WIDE 16
#elif defined(__AVX2__)
#define WIDE 8
#else
#define WIDE 4
#endif

typedef float floats __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef uint32_t bits __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef uint16_t halves __attribute__((vector_size(2 * WIDE), aligned(2), may_alias));

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

INLINE int64_t filled_up(int64_t n, int64_t size) { return (n + size - 1) / size * size; }

/* WIDE numbers from the i-th on. */
INLINE floats load(const void *p, int64_t i, int low) {
    if (low) return (floats)(__builtin_convertvector(*(const halves *)((const uint16_t *)p + i), bits) << 16);
    return *(const floats *)((const float *)p + i);
}

/* As bfloat16, to the nearest, ties to even. */
INLINE halves rounded(floats a) {
#ifdef __AVX512BF16__
    return (halves)_mm512_cvtneps_pbh((__m512)a);
#else
    const bits b = (bits)a;
    return __builtin_convertvector((b + 0x7fff + ((b >> 16) & 1)) >> 16, halves);
#endif
}

INLINE void store(void *p, int64_t i, floats a, int low) {
    if (low) *(halves *)((uint16_t *)p + i) = rounded(a);
    else *(floats *)((float *)p + i) = a;
}

/* The first `count` of WIDE numbers; zeros after them. */
INLINE floats load_some(const void *p, int64_t i, int64_t count, int low) {
    if (count >= WIDE) return load(p, i, low);
    float some[WIDE] = {0};
    for (int64_t k = 0; k < count; k++) {
        uint32_t b = low ? (uint32_t)((const uint16_t *)p)[i + k] << 16 : ((const uint32_t *)p)[i + k];
        memcpy(some + k, &b, sizeof b);
    }
    return load(some, 0, 0);
}

INLINE void store_some(void *p, int64_t i, floats a, int64_t count, int low) {
    if (count >= WIDE) { store(p, i, a, low); return; }
    uint16_t halves_of[WIDE];
    float floats_of[WIDE];
    store(low ? (void *)halves_of : (void *)floats_of, 0, a, low);
    if (low) memcpy((uint16_t *)p + i, halves_of, count * sizeof(uint16_t));
    else memcpy((float *)p + i, floats_of, count * sizeof(float));
}

#ifdef __AVX512F__
INLINE float sum_of(floats a) { return _mm512_reduce_add_ps((__m512)a); }
INLINE float most_of(floats a) { return _mm512_reduce_max_ps((__m512)a); }
INLINE floats choose(ints mask, floats a, floats b) {
    return (floats)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)mask), (__m512)b, (__m512)a);
}
INLINE floats larger(floats a, floats b) { return (floats)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE floats smaller(floats a, floats b) { return (floats)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE floats nearest(floats a) { return (floats)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE floats scaled(floats a, floats n) { return (floats)_mm512_scalef_ps((__m512)a, (__m512)n); }
#else
INLINE float sum_of(floats a) {
    float each[WIDE];
    memcpy(each, &a, sizeof a);
    for (int step = WIDE / 2; step; step /= 2)
        for (int k = 0; k < step; k++) each[k] += each[k + step];
    return each[0];
}
INLINE float most_of(floats a) {
    float each[WIDE];
    memcpy(each, &a, sizeof a);
    for (int step = WIDE / 2; step; step /= 2)
        for (int k = 0; k < step; k++) each[k] = each[k] > each[k + step] ? each[k] : each[k + step];
    return each[0];
}
#ifdef __AVX2__
INLINE floats choose(ints mask, floats a, floats b) { return (floats)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)mask); }
INLINE floats larger(floats a, floats b) { return (floats)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE floats smaller(floats a, floats b) { return (floats)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE floats nearest(floats a) { return (floats)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
#else
INLINE floats choose(ints mask, floats a, floats b) { return (floats)(((ints)a & mask) | ((ints)b & ~mask)); }
/* Of a number and none, the second. */
INLINE floats larger(floats a, floats b) { return choose(a > b, a, b); }
INLINE floats smaller(floats a, floats b) { return choose(a < b, a, b); }
/* Whole numbers; of less than 2^22. */
INLINE floats nearest(floats a) { return (a + 12582912.0f) - 12582912.0f; }
#endif
/* a times 2^n. */
INLINE floats scaled(floats a, floats n) { return a * (floats)((__builtin_convertvector(n, ints) + 127) << 23); }
#endif

INLINE floats all(float x) { return (floats){0} + x; }

/* e to the x, 2^n times a polynomial of the rest: within 2e-7 of it, or where it will be rounded to bfloat16, within 8e-5. Of
 * less than -87 it is 1.6e-38, of more than 88 1.7e38. Not a number stays so. */
INLINE floats exponential(floats x, int low) {
    x = smaller(all(88.0f), larger(all(-87.0f), x));
    const floats n = nearest(x * 1.44269504f);
    if (low) {
        const floats r = x * 1.44269504f - n;
        return scaled(((5.517162e-2f * r + 2.4261112e-1f) * r + 6.9326099e-1f) * r + 9.9992807e-1f, n);
    }
    const floats r = x - n * 0.693359375f + n * 2.12194440e-4f;
    floats p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return scaled(p * r * r + r + 1.0f, n);
}

/* Each place in a vector. */
#if WIDE == 16
static const ints COUNT = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif WIDE == 8
static const ints COUNT = {0, 1, 2, 3, 4, 5, 6, 7};
#else
static const ints COUNT = {0, 1, 2, 3};
#endif
