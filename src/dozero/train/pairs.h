/* Products of bfloat16 by what multiplies it in twos: tile registers (AMX), or else AVX-512. And how to turn squares.
 *
 * The first factor lies in rows. The second is "packed": two of its rows interleaved, so that the two numbers of each factor
 * that go into a sum stand side by side in 32 bits.
 */
#include "vectors.h"
#ifdef __AMX_BF16__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define EDGE 32 /* rows and columns of a square of sums */

/* Where a factor begins, and how many numbers on its next row (or two packed ones) and its next EDGE to be multiplied lie. */
typedef struct { const uint16_t *at; int64_t row, step; } Factor;

#ifdef __AMX_BF16__
/* Eight registers of 16 rows of 64 bytes: four sum up a square, the others hold two halves of each factor. */
typedef struct { uint8_t palette, start, unused[14]; uint16_t bytes[16]; uint8_t rows[16]; } Tiles;

static int has_pairs(void) {
    static int known = -1;
    if (known < 0) known = syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tile data */) == 0;
    return known;
}

static void begin_pairs(void) {
    Tiles shape = {.palette = 1};
    for (int i = 0; i < 8; i++) shape.rows[i] = 16, shape.bytes[i] = 64;
    _tile_loadconfig(&shape);
}

static void end_pairs(void) { _tile_release(); }

/* sums (EDGE EDGE, or added to) of a (EDGE `inner`) times b (`inner` EDGE), packed. */
CALLED void square_of_pairs(float *sums, int64_t stride, Factor a, Factor b, int64_t inner, int adds) {
    if (adds) {
        _tile_loadd(0, sums, 4 * stride);
        _tile_loadd(1, sums + 16, 4 * stride);
        _tile_loadd(2, sums + 16 * stride, 4 * stride);
        _tile_loadd(3, sums + 16 * stride + 16, 4 * stride);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t i = 0; i < inner; i += EDGE, a.at += a.step, b.at += b.step) {
        _tile_loadd(4, a.at, 2 * a.row);
        _tile_loadd(5, a.at + 16 * a.row, 2 * a.row);
        _tile_loadd(6, b.at, 2 * b.row);
        _tile_loadd(7, b.at + 32, 2 * b.row);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, 4 * stride);
    _tile_stored(1, sums + 16, 4 * stride);
    _tile_stored(2, sums + 16 * stride, 4 * stride);
    _tile_stored(3, sums + 16 * stride + 16, 4 * stride);
}
#elif defined(__AVX512BF16__)
enum { ROWS_OF_PAIRS = 8 };

static int has_pairs(void) { return 1; }
static void begin_pairs(void) {}
static void end_pairs(void) {}

CALLED void square_of_pairs(float *sums, int64_t stride, Factor a, Factor b, int64_t inner, int adds) {
    for (int r = 0; r < EDGE; r += ROWS_OF_PAIRS) {
        const uint16_t *rows = a.at + r * a.row, *packed = b.at;
        __m512 sum[ROWS_OF_PAIRS][2];
        UNROLLED
        for (int k = 0; k < ROWS_OF_PAIRS; k++)
            UNROLLED
            for (int t = 0; t < 2; t++) sum[k][t] = adds ? _mm512_loadu_ps(sums + (r + k) * stride + t * WIDE) : _mm512_setzero_ps();
        for (int64_t i = 0; i < inner; i += EDGE, rows += a.step, packed += b.step)
            for (int64_t pair = 0; pair < EDGE / 2; pair++) {
                const __m512bh first = (__m512bh)_mm512_loadu_si512(packed + pair * b.row);
                const __m512bh second = (__m512bh)_mm512_loadu_si512(packed + pair * b.row + 2 * WIDE);
                UNROLLED
                for (int k = 0; k < ROWS_OF_PAIRS; k++) {
                    int32_t two;
                    memcpy(&two, rows + k * a.row + 2 * pair, sizeof two);
                    const __m512bh both = (__m512bh)_mm512_set1_epi32(two);
                    sum[k][0] = _mm512_dpbf16_ps(sum[k][0], both, first);
                    sum[k][1] = _mm512_dpbf16_ps(sum[k][1], both, second);
                }
            }
        UNROLLED
        for (int k = 0; k < ROWS_OF_PAIRS; k++)
            UNROLLED
            for (int t = 0; t < 2; t++) _mm512_storeu_ps(sums + (r + k) * stride + t * WIDE, sum[k][t]);
    }
}
#else
static int has_pairs(void) { return 0; }
#define begin_pairs() ((void)0)
#define end_pairs() ((void)0)
#define square_of_pairs(...) ((void)0)
#endif

/* Of two rows, word by word in turns: the first halves, or the second ones. */
#if WIDE == 16
#define FIRST_OF(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define SECOND_OF(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif WIDE == 8
#define FIRST_OF(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define SECOND_OF(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define FIRST_OF(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define SECOND_OF(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* Turn a square of WIDE words of 32 bits: row i meets the one half of all further on, and their words go by turns, until each
 * word has met all places. */
INLINE void transpose(uint32_t *to, int64_t to_stride, const uint32_t *from, int64_t from_stride) {
#if defined(__clang__) || __GNUC__ >= 12
    bits rows[WIDE], mixed[WIDE];
    UNROLLED
    for (int i = 0; i < WIDE; i++) rows[i] = *(const bits *)(from + i * from_stride);
    UNROLLED
    for (int met = 1; met < WIDE; met *= 2) {
        UNROLLED
        for (int i = 0; i < WIDE / 2; i++) {
            mixed[2 * i] = FIRST_OF(rows[i], rows[i + WIDE / 2]);
            mixed[2 * i + 1] = SECOND_OF(rows[i], rows[i + WIDE / 2]);
        }
        UNROLLED
        for (int i = 0; i < WIDE; i++) rows[i] = mixed[i];
    }
    UNROLLED
    for (int i = 0; i < WIDE; i++) *(bits *)(to + i * to_stride) = rows[i];
#else
    for (int i = 0; i < WIDE; i++)
        for (int k = 0; k < WIDE; k++) to[i * to_stride + k] = from[k * from_stride + i];
#endif
}
