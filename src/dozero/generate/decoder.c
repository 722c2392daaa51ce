/* One pass of the transformer over a few tokens, with a cache: the arithmetic of model/transformer.py, written for a CPU.
 *
 * native.py compiles this file with the C compiler of the machine and lays the weights out as it reads them; the tests
 * compare it with the model itself. Letters are those of the model: C d_model, H query heads, K key/value heads, D head_dim,
 * F d_ff, V vocabulary, L layers. N are the tokens of this pass: each has a row of the cache and a position in it, so that
 * a prompt, one token each of many texts, or guesses to be checked are all the same to it.
 *
 * A matrix is cut into tiles of WIDE outputs, as many as a register holds numbers, the last one filled up with zeros. In a
 * tile the weights of an input stand side by side; of int8, those of four inputs, as CPUs multiply and add four bytes at
 * once. The cache has the same form: keys are a matrix whose outputs are the positions, values one whose inputs are. So
 * there is one product, `multiply`.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif
#ifdef __AMX_INT8__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

/* What weights are kept as. Halves are floats without their lower 16 bits: of numbers that have none, with nothing lost. */
enum { FLOATS, BYTES, HALVES };

#define UNROLLED _Pragma("GCC unroll 16")
#define INLINE static inline __attribute__((always_inline))
#define BLOCK 64 /* inputs that share a scale where they are int8 */
#define QUERIES 24 /* that look at the same keys together, about */
#define QUERIES_OF(G) ((G) < QUERIES ? QUERIES / (G) : 1) /* tokens that have so many */
/* WIDE: numbers of a register; of longer vectors GCC makes memory. TOKENS: that go through a product together at the most; a
 * weight that is loaded is used as often. Tiles that do: as many sums as there are registers; of few tokens more, since each
 * sum waits for the one before. */
#if defined(__AVX512F__)
enum { TOKENS = 8, FLOAT_TILES = 4, FLOAT_TILES_OF_MANY = 3, BYTE_TILES = 2 };
#define WIDE 16
#elif defined(__AVX2__)
enum { TOKENS = 4, FLOAT_TILES = 3, FLOAT_TILES_OF_MANY = 3, BYTE_TILES = 2 };
#define WIDE 8
#else
enum { TOKENS = 4, FLOAT_TILES = 2, FLOAT_TILES_OF_MANY = 2, BYTE_TILES = 1 };
#define WIDE 4
#endif

typedef float floats __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef struct { const void *weight; const float *scale, *bias; int64_t out, in, room; } Matrix; /* room: inputs of a tile */
typedef struct { const float *norm, *q_norm, *k_norm, *mlp_norm; Matrix qkv, o, gate_up, down; } Layer;
typedef struct {
    int64_t C, H, K, D, F, V, L, form, positions, threads;
    float eps, unused;
    const float *embedding, *final_norm, *cos, *sin;
    Matrix head;
    const Layer *layers;
} Model;
/* Of a product: N rows, from one to the next `stride` floats. Of int8, the first block of all rows, then the second of all,
 * as tile registers take them fastest; their scales and shifts stand in the same order. */
typedef struct { float *f; int8_t *q; float *scale; int32_t *shift; int64_t stride, N; } Inputs;

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

INLINE int64_t filled_up(int64_t n, int64_t size) { return (n + size - 1) / size * size; }

INLINE floats load(const float *p) { return *(const floats *)p; }

/* The first or second of the halves that stand in pairs. */
INLINE floats widen(const char *p, int second) {
    const ints pairs = *(const ints *)p;
    if (second) return (floats)(pairs & (int32_t)0xffff0000);
    return (floats)(pairs << 16);
}

INLINE void store(float *p, floats a) { *(floats *)p = a; }

/* sum + a * b, rounded once where the CPU can, and said so: GCC would take one way for one sum and another for several. */
INLINE floats add_product(floats sum, floats a, float b) {
#if defined(__AVX512F__)
    return (floats)_mm512_fmadd_ps((__m512)a, _mm512_set1_ps(b), (__m512)sum);
#elif defined(__AVX2__) && defined(__FMA__)
    return (floats)_mm256_fmadd_ps((__m256)a, _mm256_set1_ps(b), (__m256)sum);
#else
    return sum + a * b;
#endif
}

/* e to the x: 2^n times a polynomial of the rest, within 2e-7 of it; no branch, so that compilers do many at once. */
INLINE float exponential(float x) {
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    float n = rintf(x * 1.44269504f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union { int32_t i; float f; } power = {((int32_t)n + 127) << 23};
    return p * power.f;
}

/* --- products ----------------------------------------------------------------------------------------------------- */

/* Each output adds up its inputs in their order, whatever else is computed beside it: so a text has the same bits alone or
 * among others, and a prompt the same as if it had been written token by token. */

/* The sums of `tiles` tiles for `tokens` tokens, side by side in registers: both numbers are known to the compiler. While many
 * tokens go through, as many at once as may, each of these groups fetches another of the tiles that come next. */
INLINE void sum_floats(floats *sums, int form, const char *w, int64_t tile, const Inputs *x, int64_t n, int64_t in, int tiles, int tokens) {
    const int together = form == HALVES ? 2 : 1, size = WIDE * 4 / together;
    const float *from = x->f + n * x->stride;
    const char *next = w + (tiles + n / TOKENS % tiles) * tile * size;
    for (int64_t i = 0; i < in; i += together) {
        if (tokens == TOKENS) __builtin_prefetch(next + i * size, 0, 2);
        UNROLLED
        for (int second = 0; second < together; second++) {
            floats v[FLOAT_TILES];
            UNROLLED
            for (int t = 0; t < tiles; t++) {
                const char *at = w + (t * tile + i) * size;
                v[t] = form == HALVES ? widen(at, second) : load((const float *)at);
            }
            UNROLLED
            for (int k = 0; k < tokens; k++)
                UNROLLED
                for (int t = 0; t < tiles; t++) sums[t * TOKENS + k] = add_product(sums[t * TOKENS + k], v[t], from[k * x->stride + i + second]);
        }
    }
}

/* Add to each of WIDE sums the products of four of its weights and the four bytes of x. Where the CPU takes the one as
 * unsigned, weights are 128 more; `OFFSET` times the sum of x is taken off before (Inputs.shift). */
#if defined(__AVX512VNNI__)
#define OFFSET 128
INLINE ints add_fours(ints sum, const int8_t *w, int32_t x) {
    const __m512i up = _mm512_xor_si512(_mm512_loadu_si512(w), _mm512_set1_epi8((char)-128));
    return (ints)_mm512_dpbusd_epi32((__m512i)sum, up, _mm512_set1_epi32(x));
}
#elif defined(__AVX2__)
#define OFFSET 0
INLINE ints add_fours(ints sum, const int8_t *w, int32_t x) {
    __m256i parts[WIDE / 8];
    memcpy(parts, &sum, sizeof sum);
    UNROLLED
    for (int i = 0; i < WIDE / 8; i++) { /* |w| times x with the sign of w: 127 * 127 * 2 fits into 16 bits */
        const __m256i a = _mm256_loadu_si256((const __m256i *)w + i);
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(_mm256_set1_epi32(x), a));
        parts[i] = _mm256_add_epi32(parts[i], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    memcpy(&sum, parts, sizeof sum);
    return sum;
}
#else
#define OFFSET 0
INLINE ints add_fours(ints sum, const int8_t *w, int32_t x) {
    int8_t four[4];
    memcpy(four, &x, sizeof four);
    for (int k = 0; k < WIDE; k++)
        for (int j = 0; j < 4; j++) sum[k] += (int32_t)w[4 * k + j] * four[j];
    return sum;
}
#endif

INLINE void sum_bytes(floats *sums, const int8_t *w, int64_t tile, const Inputs *x, int64_t n, int64_t in, int tiles, int tokens) {
    for (int64_t b = 0; b < in / BLOCK; b++) {
        ints whole[BYTE_TILES * TOKENS];
        UNROLLED
        for (int k = 0; k < tokens; k++)
            UNROLLED
            for (int t = 0; t < tiles; t++) whole[t * TOKENS + k] = (ints){0} + x->shift[b * x->N + n + k];
        for (int i = 0; i < BLOCK; i += 4)
            UNROLLED
            for (int k = 0; k < tokens; k++) {
                int32_t four;
                memcpy(&four, x->q + (b * x->N + n + k) * BLOCK + i, sizeof four);
                UNROLLED
                for (int t = 0; t < tiles; t++)
                    whole[t * TOKENS + k] = add_fours(whole[t * TOKENS + k], w + t * tile + (b * BLOCK + i) * WIDE, four);
            }
        UNROLLED
        for (int k = 0; k < tokens; k++)
            UNROLLED
            for (int t = 0; t < tiles; t++)
                sums[t * TOKENS + k] = add_product(sums[t * TOKENS + k], __builtin_convertvector(whole[t * TOKENS + k], floats), x->scale[b * x->N + n + k]);
    }
}

/* Scale the sums of a tile, and put them where they belong in the row y of a token. */
INLINE void finish(const Matrix *m, floats all, int64_t tile, float *y, int adds) {
    const int64_t o = tile * WIDE, count = m->out - o;
    if (m->scale) all *= load(m->scale + o);
    if (m->bias) all += load(m->bias + o);
    if (count >= WIDE) {
        if (adds) all += load(y + o);
        store(y + o, all);
        return;
    }
    float each[WIDE];
    store(each, all);
    for (int i = 0; i < count; i++) y[o + i] = adds ? y[o + i] + each[i] : each[i];
}

/* The outputs of tiles from..from+tiles of a matrix for tokens n..n+tokens; y has `stride` floats for each token. */
INLINE void put(const Matrix *m, int form, const Inputs *x, int64_t n, int64_t from, float *y, int64_t stride, int adds, int tiles, int tokens) {
    floats sums[FLOAT_TILES * TOKENS];
    UNROLLED
    for (int k = 0; k < FLOAT_TILES * TOKENS; k++) sums[k] = (floats){0};
    if (form == BYTES)
        sum_bytes(sums, (const int8_t *)m->weight + from * m->room * WIDE, m->room * WIDE, x, n, m->room, tiles, tokens);
    else
        sum_floats(sums, form, (const char *)m->weight + from * m->room * WIDE * (form == HALVES ? 2 : 4), m->room, x, n, m->in, tiles, tokens);
    floats done[FLOAT_TILES * TOKENS]; /* in memory, so that one copy of what follows is enough: fifteen seconds less to compile */
    UNROLLED
    for (int k = 0; k < FLOAT_TILES * TOKENS; k++) done[k] = sums[k];
    for (int k = 0; k < tokens; k++)
        for (int t = 0; t < tiles; t++) finish(m, done[t * TOKENS + k], from + t, y + (n + k) * stride, adds);
}

#ifdef __AMX_INT8__
#define MANY 16 /* tokens that a tile register holds */
#define BETWEEN 2 /* blocks that are multiplied while the sums of one are stored */
#define WORTH_TILES 5 /* tokens from which on tiles are faster */
typedef struct { uint8_t palette, start, unused[14]; uint16_t bytes[16]; uint8_t rows[16]; } Tiles;

/* Whether the kernel lets this process use tile registers: Linux wants to be asked, since they make threads larger. */
static int has_tiles(void) {
    static int known = -1;
    if (known < 0) known = syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tile data */) == 0;
    return known;
}

/* One tile of outputs for `tokens` tokens from n on, of int8, by tile registers: a block of inputs at a time, since each has
 * a scale. The same whole numbers as by sum_bytes, added up in the same order: the same bits. */
INLINE void put_by_tiles(const Matrix *matrix, const Inputs *x, int64_t n, int64_t o, float *y, int64_t stride, int adds, int tokens) {
    const Matrix m = *matrix; /* a copy: no output can be thought to change it */
    const int64_t blocks = m.room / BLOCK, N = x->N;
    const int8_t *w = (const int8_t *)m.weight + o * m.room * WIDE, *q = x->q + n * BLOCK;
    const float *scale = x->scale + n;
    ints whole[BETWEEN * 2][MANY] __attribute__((aligned(64)));
    floats sums[MANY] = {{0}};
    for (int64_t b = 0; b < blocks + BETWEEN; b++) {
        if (b < blocks) {
            _tile_zero(0);
            _tile_loadd(1, q + b * N * BLOCK, BLOCK);
            _tile_loadd(2, w + b * BLOCK * WIDE, 4 * WIDE);
            _tile_dpbssd(0, 1, 2);
            _tile_stored(0, whole[b % (BETWEEN * 2)], sizeof(ints));
        }
        if (b < BETWEEN) continue;
        const ints *stored = whole[(b - BETWEEN) % (BETWEEN * 2)];
        UNROLLED
        for (int k = 0; k < tokens; k++) sums[k] = add_product(sums[k], __builtin_convertvector(stored[k], floats), scale[k]);
        scale += N;
    }
    UNROLLED
    for (int k = 0; k < tokens; k++) finish(&m, sums[k], o, y + (n + k) * stride, adds);
}

static void shape_tiles(int tokens) {
    const Tiles shape = {
        .palette = 1, .rows = {tokens, tokens, BLOCK / 4}, .bytes = {sizeof(ints), BLOCK, 4 * WIDE} /* sums, inputs, weights */
    };
    _tile_loadconfig(&shape);
}

static void multiply_by_tiles(const Matrix *m, const Inputs *x, int64_t N, int64_t from, int64_t to, float *y, int64_t stride, int adds) {
    const int rest = (int)(N % MANY);
    shape_tiles(MANY);
    for (int64_t o = from; o < to; o++)
        for (int64_t n = 0; n + MANY <= N; n += MANY) put_by_tiles(m, x, n, o, y, stride, adds, MANY);
    if (rest > 0) {
        shape_tiles(rest);
        for (int64_t o = from; o < to; o++) put_by_tiles(m, x, N - rest, o, y, stride, adds, rest);
    }
    _tile_release();
}
#endif

/* The outputs of tiles from..to for all N tokens. Each `put` here is compiled for itself, which takes a second or two: hence
 * powers of two of tokens, and no copies of this function for one use or another. */
__attribute__((noinline, noclone))
static void multiply(const Matrix *m, int form, const Inputs *x, int64_t N, int64_t from, int64_t to, float *y, int64_t stride, int adds) {
#define BY(form, tiles, tokens) for (; n + tokens <= N; n += tokens) put(m, form, x, n, o, y, stride, adds, tiles, tokens);
#define FEW(form, tiles) { int64_t n = 0; BY(form, tiles, 4) BY(form, tiles, 2) BY(form, tiles, 1) }
#ifdef __AVX512F__
#define MANY_AT_ONCE(form, tiles) { int64_t n = 0; BY(form, tiles, TOKENS) BY(form, tiles, 4) BY(form, tiles, 2) BY(form, tiles, 1) }
#else
#define MANY_AT_ONCE FEW
#endif
#define FLOATS_OR_HALVES(form) \
        if (FLOAT_TILES_OF_MANY != FLOAT_TILES && N > 4) for (; o + FLOAT_TILES_OF_MANY <= to; o += FLOAT_TILES_OF_MANY) MANY_AT_ONCE(form, FLOAT_TILES_OF_MANY) \
        else for (; o + FLOAT_TILES <= to; o += FLOAT_TILES) FEW(form, FLOAT_TILES) \
        for (; o < to; o++) MANY_AT_ONCE(form, 1)
#ifdef __AMX_INT8__
    if (form == BYTES && N >= WORTH_TILES && has_tiles()) {
        multiply_by_tiles(m, x, N, from, to, y, stride, adds);
        return;
    }
#endif
    int64_t o = from;
    if (form == BYTES) {
        for (; o + BYTE_TILES <= to; o += BYTE_TILES) FEW(BYTES, BYTE_TILES)
        for (; o < to; o++) FEW(BYTES, 1)
    } else if (form == HALVES) {
        FLOATS_OR_HALVES(HALVES)
    } else {
        FLOATS_OR_HALVES(FLOATS)
    }
}

INLINE int64_t tiles_of(const Matrix *m) { return (m->out + WIDE - 1) / WIDE; }

/* Row n of what goes into a product of int8, its inputs from..to: bytes, with a scale for each block; `from` begins one. */
static void quantize(const Inputs *x, int64_t n, int64_t from, int64_t to) {
    const int64_t end = filled_up(to, BLOCK);
    memset(x->f + n * x->stride + to, 0, (end - to) * sizeof(float));
    for (int64_t i = from; i < end; i += BLOCK) {
        const float *f = x->f + n * x->stride + i;
        const int64_t place = i / BLOCK * x->N + n;
        int8_t *q = x->q + place * BLOCK;
        float most = 0;
        int32_t sum = 0;
#pragma omp simd reduction(max : most)
        for (int k = 0; k < BLOCK; k++) most = fabsf(f[k]) > most ? fabsf(f[k]) : most;
        const float back = most > 0 ? 127.0f / most : 0.0f;
        for (int k = 0; k < BLOCK; k++) sum += q[k] = (int8_t)(int32_t)rintf(f[k] * back);
        x->scale[place] = most / 127.0f;
        x->shift[place] = -OFFSET * sum;
    }
}

static void normalize(float *to, const float *from, const float *weight, int64_t width, float eps) {
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; i++) squares += from[i] * from[i];
    const float r = 1.0f / sqrtf(squares / (float)width + eps);
    for (int64_t i = 0; i < width; i++) to[i] = from[i] * r * weight[i];
}

/* Tiles of hidden units that are computed together: of int8 a block, of floats as many as `multiply` takes at once. */
INLINE int64_t tiles_together(int form, int64_t N) {
    return form == BYTES ? BLOCK / WIDE : N > 4 ? FLOAT_TILES_OF_MANY : FLOAT_TILES;
}

/* silu(gate x) * up x of all tokens, this thread's share of the hidden units: some at a time, so that what the matrix gives
 * never leaves the caches. The tiles of `up` follow those of `gate`. `own` holds 2 * BLOCK floats for each token. */
static void activate(const Matrix *m, int form, const Inputs *x, int64_t F, int64_t me, int64_t all, float *own, const Inputs *y) {
    const int64_t gates = filled_up(F, WIDE) / WIDE, most = tiles_together(form, x->N), groups = (gates + most - 1) / most;
    const int64_t wide = most * WIDE;
    for (int64_t group = groups * me / all; group < groups * (me + 1) / all; group++) {
        const int64_t from = group * most, to = least(from + most, gates), begin = from * WIDE, end = least(to * WIDE, F);
        multiply(m, form, x, x->N, from, to, own - from * WIDE, 2 * wide, 0);
        multiply(m, form, x, x->N, gates + from, gates + to, own + wide - (gates + from) * WIDE, 2 * wide, 0);
        for (int64_t n = 0; n < x->N; n++) {
            const float *gate = own + n * 2 * wide, *up = gate + wide;
            float *hidden = y->f + n * y->stride + begin;
            for (int64_t i = 0; i < end - begin; i++) hidden[i] = gate[i] / (1.0f + exponential(-gate[i])) * up[i];
            if (form == BYTES) quantize(y, n, begin, end);
        }
    }
}

/* --- attention ---------------------------------------------------------------------------------------------------- */

static void rotate(float *x, const float *cos, const float *sin, int64_t D) {
    for (int64_t i = 0; i < D / 2; i++) {
        const float a = x[i], b = x[i + D / 2];
        x[i] = a * cos[i] - b * sin[i];
        x[i + D / 2] = b * cos[i] + a * sin[i];
    }
}

/* Queries and keys of one group of heads of a token: normalised, turned, and the keys and values put into the cache. */
static void remember(const Model *m, const Layer *l, float *qkv, int64_t group, int64_t position, float *k, float *v, int64_t room) {
    const int64_t D = m->D, G = m->H / m->K;
    const float *cos = m->cos + position * (D / 2), *sin = m->sin + position * (D / 2), scale = 1.0f / sqrtf((float)D);
    for (int64_t h = group * G; h < (group + 1) * G; h++) {
        float *query = qkv + h * D;
        if (l->q_norm) normalize(query, query, l->q_norm, D, m->eps);
        rotate(query, cos, sin, D);
        for (int64_t i = 0; i < D; i++) query[i] *= scale;
    }
    float *key = qkv + (m->H + group) * D, *value = qkv + (m->H + m->K + group) * D;
    if (l->k_norm) normalize(key, key, l->k_norm, D, m->eps);
    rotate(key, cos, sin, D);
    for (int64_t i = 0; i < D; i++) k[(position / WIDE * D + i) * WIDE + position % WIDE] = key[i];
    for (int64_t i = 0; i < D; i++) v[(i / WIDE * room + position) * WIDE + i % WIDE] = value[i];
}

/* How many tokens from n on follow each other in one row, of those that are looked at together at the most. */
INLINE int64_t in_a_row(const int64_t *rows, const int64_t *at, int64_t n, int64_t N, int64_t most) {
    int64_t count = 1;
    while (count < most && n + count < N && rows[n + count] == rows[n] && at[n + count] == at[n] + count) count++;
    return count;
}

/* Turn the first `seen` scores of a row to weights, with zeros after them up to `last` and the end of a vector; return what
 * makes their sum 1. */
static float weigh(float *row, int64_t seen, int64_t last) {
    const int64_t wide = filled_up(seen, WIDE); /* whole vectors: a rest of single numbers takes longer than all of a short row */
    float most = -INFINITY, total = 0;
    for (int64_t s = seen; s < wide; s++) row[s] = -INFINITY;
#pragma omp simd reduction(max : most)
    for (int64_t s = 0; s < wide; s++) most = row[s] > most ? row[s] : most;
#pragma omp simd reduction(+ : total)
    for (int64_t s = 0; s < wide; s++) total += row[s] = exponential(row[s] - most);
    for (int64_t s = seen; s < wide || s < last; s++) row[s] = 0; /* what comes later adds nothing, not a bit */
    return 1.0f / total;
}

/* Room for the scores of a query: not a power of two, whose rows would all lie in the same few lines of the L1 cache. */
INLINE int64_t score_floats(int64_t positions) { return filled_up(positions, 2 * WIDE) + WIDE; }

/* softmax(q k) v of some tokens that follow each other, for the G heads that share keys and values: the first looks at S
 * positions, each other at one more than the one before. Query t, g lies at q + t * q_stride + g * D, and so does y. */
static void attend(const float *q, int64_t q_stride, const float *k, const float *v, int64_t tokens, int64_t G, int64_t S,
                   int64_t D, int64_t room, float *own, float *y, int64_t y_stride) {
    const int64_t count = tokens * G, last = S + tokens - 1, apart = score_floats(room);
    float *together = own, *scores = together + count * D;
    const Matrix keys = {k, 0, 0, last, D, D}, values = {v, 0, 0, D, last, room};
    const Inputs queries = {together, 0, 0, 0, D, count}, weights = {scores, 0, 0, 0, apart, count};
    for (int64_t t = 0; t < tokens; t++) memcpy(together + t * G * D, q + t * q_stride, G * D * sizeof(float));
    multiply(&keys, FLOATS, &queries, count, 0, tiles_of(&keys), scores, apart, 0);
    float *whole = scores + count * apart;
    for (int64_t n = 0; n < count; n++) whole[n] = weigh(scores + n * apart, S + n / G, last);
    multiply(&values, FLOATS, &weights, count, 0, tiles_of(&values), together, D, 0);
    for (int64_t n = 0; n < count; n++) {
        float *to = y + n / G * y_stride + n % G * D;
        for (int64_t i = 0; i < D; i++) to[i] = together[n * D + i] * whole[n];
    }
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static int64_t widest(const Model *m) {
    int64_t most = m->C > m->F ? m->C : m->F;
    return filled_up(m->H * m->D > most ? m->H * m->D : most, BLOCK);
}

static int64_t inputs_floats(const Model *m, int64_t N) { return N * widest(m) * (BLOCK + BLOCK / 4 + 2) / BLOCK; }

static Inputs inputs_at(const Model *m, int64_t N, float *memory) {
    const int64_t wide = widest(m), all = N * wide;
    float *scale = memory + all + all / 4;
    return (Inputs){memory, (int8_t *)(memory + all), scale, (int32_t *)(scale + all / BLOCK), wide, N};
}

static int64_t own_floats(const Model *m, int64_t N) {
    const int64_t G = m->H / m->K, queries = least(N, QUERIES_OF(G)) * G;
    const int64_t of_heads = queries * (m->D + score_floats(m->positions) + 1) + WIDE, of_hidden = N * 2 * BLOCK;
    return inputs_floats(m, 1) + (of_heads > of_hidden ? of_heads : of_hidden);
}

/* Outputs of a tile. */
int64_t wide(void) { return WIDE; }

/* Floats of room that `advance` asks for: shared by its threads, then for each of them. */
int64_t room(const Model *m, int64_t N) {
    const int64_t shared = N * (m->C + (m->H + 2 * m->K) * m->D + m->H * m->D) + 2 * inputs_floats(m, N);
    return shared + m->threads * own_floats(m, N);
}

/* Put N tokens through the model. `cache` has for each layer, row and key/value head its keys [positions/WIDE][D][WIDE] and
 * its values [D/WIDE][positions][WIDE]. The logits of the tokens `wanted` (their places among the N, in order) go to `logits`.
 * Returns nothing: what may be wrong is checked before it is called. */
void advance(const Model *m, int64_t N, const int64_t *ids, const int64_t *rows, const int64_t *at, float *cache,
             int64_t cache_rows, int64_t cache_positions, int64_t wanted_count, const int64_t *wanted, float *logits, float *memory) {
    const int64_t C = m->C, H = m->H, K = m->K, D = m->D, F = m->F, W = (H + 2 * K) * D, G = H / K;
    const int64_t head_keys = cache_positions * D, head_floats = head_keys + cache_positions * filled_up(D, WIDE);
    const int form = (int)m->form, is_int8 = form == BYTES, alone = N == 1;
    float *x = memory, *qkv = x + N * C, *gathered = qkv + N * W;
    float *together = gathered + N * H * D, *after = together + inputs_floats(m, N), *own = after + inputs_floats(m, N);
#ifdef _OPENMP
#pragma omp parallel num_threads((int)m->threads) if (m->threads > 1)
#endif
    {
#ifdef _OPENMP
        const int64_t me = omp_get_thread_num(), all = omp_get_num_threads();
#define WAIT _Pragma("omp barrier")
#else
        const int64_t me = 0, all = 1;
#define WAIT
#endif
/* What is done to each token by itself is shared out, or for a single one done by each thread: cheaper than to wait. */
#define EACH_TOKEN for (int64_t n = alone ? 0 : me; n < count; n += alone ? 1 : all)
#define READY if (!alone) { WAIT }
#define SHARE(matrix) tiles_of(matrix) * me / all, tiles_of(matrix) * (me + 1) / all
/* Tokens that follow each other, and a group of heads: the same thread sees to them each time. */
#define HEADS(n, tokens, group) \
    for (int64_t n = 0, unit = 0, tokens; n < N; n += tokens) \
        for (int64_t group = (tokens = in_a_row(rows, at, n, N, QUERIES_OF(G)), 0); group < K; group++, unit++) \
            if (unit % all == me)
        float *mine = own + me * own_floats(m, N), *scratch = mine + inputs_floats(m, 1);
        int64_t count = N; /* tokens that go on */
        Inputs in = alone ? inputs_at(m, 1, mine) : inputs_at(m, N, together), hidden = inputs_at(m, N, after);
        for (int64_t n = me; n < N; n += all) memcpy(x + n * C, m->embedding + ids[n] * C, C * sizeof(float));
        WAIT
        for (int64_t layer = 0; layer < m->L; layer++) {
            const Layer *l = m->layers + layer;
            float *of_layer = cache + layer * cache_rows * K * head_floats;

            EACH_TOKEN {
                normalize(in.f + n * in.stride, x + n * C, l->norm, C, m->eps);
                if (is_int8) quantize(&in, n, 0, C);
            }
            READY
            multiply(&l->qkv, form, &in, N, SHARE(&l->qkv), qkv, W, 0);
            WAIT
            HEADS(n, tokens, group) {
                float *k = of_layer + (rows[n] * K + group) * head_floats;
                for (int64_t t = n; t < n + tokens; t++) remember(m, l, qkv + t * W, group, at[t], k, k + head_keys, cache_positions);
            }
            READY /* tokens of one pass may look at each other; alone, a thread has what it needs */
            HEADS(n, tokens, group) {
                const float *k = of_layer + (rows[n] * K + group) * head_floats, *q = qkv + n * W + group * G * D;
                attend(q, W, k, k + head_keys, tokens, G, at[n] + 1, D, cache_positions, scratch, gathered + (n * H + group * G) * D, H * D);
            }
            WAIT
            const int64_t *of = layer + 1 < m->L ? 0 : wanted; /* nothing asks for the other tokens after the last attention */
            if (of) {
                for (int64_t n = 0; me == 0 && n < wanted_count; n++)
                    if (of[n] != n) memcpy(x + n * C, x + of[n] * C, C * sizeof(float));
                count = in.N = hidden.N = wanted_count;
            }
            EACH_TOKEN {
                memcpy(in.f + n * in.stride, gathered + (of ? of[n] : n) * H * D, H * D * sizeof(float));
                if (is_int8) quantize(&in, n, 0, H * D);
            }
            READY
            multiply(&l->o, form, &in, count, SHARE(&l->o), x, C, 1);
            WAIT
            EACH_TOKEN {
                normalize(in.f + n * in.stride, x + n * C, l->mlp_norm, C, m->eps);
                if (is_int8) quantize(&in, n, 0, C);
            }
            READY
            activate(&l->gate_up, form, &in, F, me, all, scratch, &hidden);
            WAIT
            multiply(&l->down, form, &hidden, count, SHARE(&l->down), x, C, 1);
            WAIT
        }
        EACH_TOKEN {
            normalize(in.f + n * in.stride, x + n * C, m->final_norm, C, m->eps);
            if (is_int8) quantize(&in, n, 0, C);
        }
        READY
        multiply(&m->head, form, &in, count, SHARE(&m->head), logits, m->V, 0);
    }
}
