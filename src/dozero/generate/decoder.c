/* One pass of the transformer over a few tokens, with a cache: the arithmetic of model/transformer.py, written for a CPU.
 *
 * native.py compiles this file with the C compiler of the machine and lays the weights out as it reads them; the tests
 * compare it with the model itself. Letters are those of the model: C d_model, H query heads, K key/value heads, D head_dim,
 * F d_ff, V vocabulary, L layers. N are the tokens of this pass: each has a row of the cache and a position in it, so that
 * a prompt, one token each of many texts, or guesses to be checked are all the same to it.
 *
 * Matrices have a row for each output, padded with zeros to a multiple of 32 inputs: float, or int8 with a scale for each row.
 * For int8 the inputs become int8 too, with a scale for each 32 of them. Sums are in float or, of 32 products, in int.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

typedef float v8 __attribute__((vector_size(32), aligned(4)));
typedef struct { const void *weight; const float *scale, *bias; int64_t out, in; } Matrix;
typedef struct { const float *norm, *q_norm, *k_norm, *mlp_norm; Matrix qkv, o, gate_up, down; } Layer;
typedef struct {
    int64_t C, H, K, D, F, V, L, is_int8, positions, threads;
    float eps, unused;
    const float *embedding, *final_norm, *cos, *sin;
    Matrix head;
    const Layer *layers;
} Model;
typedef struct { float *f; int8_t *q; float *scale; int64_t stride; } Inputs; /* of a product: N rows, padded */

static int64_t padded(int64_t n) { return (n + 31) / 32 * 32; }

static inline float sum8(v8 a) { return ((a[0] + a[4]) + (a[1] + a[5])) + ((a[2] + a[6]) + (a[3] + a[7])); }

static inline v8 load8(const float *p) { v8 a; memcpy(&a, p, sizeof a); return a; }

/* e to the x: 2^n times a polynomial of the rest, within 2e-7 of it; no branch, so that compilers do eight at once. */
static inline float exponential(float x) {
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

/* Every product below adds up in one order, eight sums side by side and then those, whatever else is computed beside it:
 * so a text has the same bits alone or among others, and a prompt the same as if it had been written token by token. */

/* Two outputs of four tokens: what is loaded is used four times or twice. */
static void dot_2x4(const float *w, int64_t width, const float *x, int64_t stride, float y[8]) {
    v8 a[8] = {{0}};
    const float *w1 = w + width, *x1 = x + stride, *x2 = x1 + stride, *x3 = x2 + stride;
    for (int64_t i = 0; i < width; i += 8) {
        const v8 u = load8(w + i), v = load8(w1 + i);
        const v8 p = load8(x + i), q = load8(x1 + i), r = load8(x2 + i), s = load8(x3 + i);
        a[0] += u * p; a[1] += u * q; a[2] += u * r; a[3] += u * s;
        a[4] += v * p; a[5] += v * q; a[6] += v * r; a[7] += v * s;
    }
    for (int k = 0; k < 8; k++) y[k] = sum8(a[k]);
}

/* Four outputs of one token. */
static void dot_4x1(const float *w, int64_t width, const float *x, float y[4]) {
    v8 a[4] = {{0}};
    for (int64_t i = 0; i < width; i += 8) {
        const v8 p = load8(x + i);
        for (int k = 0; k < 4; k++) a[k] += load8(w + k * width + i) * p;
    }
    for (int k = 0; k < 4; k++) y[k] = sum8(a[k]);
}

static float dot(const float *w, int64_t width, const float *x) {
    v8 a = {0};
    for (int64_t i = 0; i < width; i += 8) a += load8(w + i) * load8(x + i);
    return sum8(a);
}

static float dot_int8(const int8_t *w, const int8_t *x, const float *scale, int64_t in) {
#ifdef __AVX2__
    __m256 sum = _mm256_setzero_ps(), more = _mm256_setzero_ps();
    const __m256i one = _mm256_set1_epi16(1);
    int64_t i = 0;
#define BLOCK(i, sum) { /* |w| times x with the sign of w: products of unsigned and signed bytes, 127 * 127 * 2 fits 16 bits */ \
        __m256i a = _mm256_loadu_si256((const __m256i *)(w + (i))), b = _mm256_loadu_si256((const __m256i *)(x + (i))); \
        __m256i products = _mm256_maddubs_epi16(_mm256_sign_epi8(a, a), _mm256_sign_epi8(b, a)); \
        __m256 total = _mm256_cvtepi32_ps(_mm256_madd_epi16(products, one)); \
        sum = _mm256_fmadd_ps(total, _mm256_broadcast_ss(scale + (i) / 32), sum); }
    for (; i + 64 <= in; i += 64) { BLOCK(i, sum) BLOCK(i + 32, more) }
    for (; i < in; i += 32) BLOCK(i, sum)
    v8 all;
    sum = _mm256_add_ps(sum, more);
    memcpy(&all, &sum, sizeof all);
    return sum8(all);
#else
    float total = 0;
    for (int64_t i = 0; i < in; i += 32) {
        int32_t block = 0;
        for (int k = 0; k < 32; k++) block += (int32_t)w[i + k] * x[i + k];
        total += scale[i / 32] * (float)block;
    }
    return total;
#endif
}

/* The outputs from..to of a matrix for all N tokens; y has `stride` floats for each token. */
static void multiply(const Matrix *m, int is_int8, const Inputs *x, int64_t N, int64_t from, int64_t to, float *y,
                     int64_t stride, int adds) {
    const int64_t in = padded(m->in);
#define PUT(n, o, value) { float v = (value) + (m->bias ? m->bias[o] : 0.0f), *at = y + (n) * stride + (o); *at = adds ? *at + v : v; }
    if (is_int8) {
        const int8_t *w = m->weight;
        for (int64_t o = from; o < to; o++)
            for (int64_t n = 0; n < N; n++)
                PUT(n, o, m->scale[o] * dot_int8(w + o * in, x->q + n * x->stride, x->scale + n * (x->stride / 32), in))
        return;
    }
    const float *w = m->weight;
    float r[8];
    const int64_t fours = N / 4 * 4; /* tokens that go by four; the others one at a time */
    int64_t o = from;
    for (; fours && o + 2 <= to; o += 2)
        for (int64_t n = 0; n < fours; n += 4) {
            dot_2x4(w + o * in, in, x->f + n * x->stride, x->stride, r);
            for (int k = 0; k < 4; k++) { PUT(n + k, o, r[k]) PUT(n + k, o + 1, r[4 + k]) }
        }
    for (; fours && o < to; o++)
        for (int64_t n = 0; n < fours; n++) PUT(n, o, dot(w + o * in, in, x->f + n * x->stride))
    for (int64_t n = fours; n < N; n++) {
        for (o = from; o + 4 <= to; o += 4) {
            dot_4x1(w + o * in, in, x->f + n * x->stride, r);
            for (int k = 0; k < 4; k++) PUT(n, o + k, r[k])
        }
        for (; o < to; o++) PUT(n, o, dot(w + o * in, in, x->f + n * x->stride))
    }
}

/* What goes into a product: rows of `width` floats, padded, and where weights are int8 in int8 too. */
static void quantize(Inputs *x, int64_t N, int64_t width) {
    const int64_t in = padded(width);
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < in; i += 32) {
            const float *f = x->f + n * x->stride + i;
            int8_t *q = x->q + n * x->stride + i;
            float most = 0;
            for (int k = 0; k < 32; k++) most = fabsf(f[k]) > most ? fabsf(f[k]) : most;
            const float back = most > 0 ? 127.0f / most : 0.0f;
            for (int k = 0; k < 32; k++) q[k] = (int8_t)(int32_t)rintf(f[k] * back);
            x->scale[n * (x->stride / 32) + i / 32] = most / 127.0f;
        }
}

static void fill(Inputs *x, int is_int8, const float *from, int64_t N, int64_t width, int64_t stride) {
    const int64_t in = padded(width);
    for (int64_t n = 0; n < N; n++) {
        memcpy(x->f + n * x->stride, from + n * stride, width * sizeof(float));
        memset(x->f + n * x->stride + width, 0, (in - width) * sizeof(float));
    }
    if (is_int8) quantize(x, N, width);
}

static void normalize(float *to, const float *from, const float *weight, int64_t width, float eps) {
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; i++) squares += from[i] * from[i];
    const float r = 1.0f / sqrtf(squares / (float)width + eps);
    for (int64_t i = 0; i < width; i++) to[i] = from[i] * r * weight[i];
}

static void fill_normalized(Inputs *x, int is_int8, const float *from, const float *weight, int64_t N, int64_t width, float eps) {
    const int64_t in = padded(width);
    for (int64_t n = 0; n < N; n++) {
        normalize(x->f + n * x->stride, from + n * width, weight, width, eps);
        memset(x->f + n * x->stride + width, 0, (in - width) * sizeof(float));
    }
    if (is_int8) quantize(x, N, width);
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
static void remember(const Model *m, const Layer *l, float *qkv, int64_t group, int64_t position, float *k, float *v) {
    const int64_t D = m->D, G = m->H / m->K;
    const float *cos = m->cos + position * (D / 2), *sin = m->sin + position * (D / 2);
    for (int64_t h = group * G; h < (group + 1) * G; h++) {
        if (l->q_norm) normalize(qkv + h * D, qkv + h * D, l->q_norm, D, m->eps);
        rotate(qkv + h * D, cos, sin, D);
    }
    float *key = qkv + (m->H + group) * D;
    if (l->k_norm) normalize(key, key, l->k_norm, D, m->eps);
    rotate(key, cos, sin, D);
    memcpy(k + position * D, key, D * sizeof(float));
    memcpy(v + position * D, qkv + (m->H + m->K + group) * D, D * sizeof(float));
}

/* softmax(q k / sqrt(D)) v over the S positions of one head. */
static void attend(const float *q, const float *k, const float *v, int64_t S, int64_t D, float *scores, float *y) {
    const float scale = 1.0f / sqrtf((float)D);
    float most = -INFINITY, total = 0;
    for (int64_t s = 0; s < S; s++) {
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < D; i++) sum += q[i] * k[s * D + i];
        scores[s] = sum * scale;
        most = scores[s] > most ? scores[s] : most;
    }
    for (int64_t s = 0; s < S; s++) scores[s] = exponential(scores[s] - most);
#pragma omp simd reduction(+ : total)
    for (int64_t s = 0; s < S; s++) total += scores[s];
    for (int64_t i = 0; i < D; i++) y[i] = 0;
    for (int64_t s = 0; s < S; s++)
        for (int64_t i = 0; i < D; i++) y[i] += scores[s] * v[s * D + i];
    for (int64_t i = 0; i < D; i++) y[i] /= total;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static int64_t widest(const Model *m) {
    int64_t most = m->C > m->F ? m->C : m->F;
    return padded(m->H * m->D > most ? m->H * m->D : most);
}

/* Floats of room that `advance` asks for: shared by its threads, then for each of them. */
int64_t room(const Model *m, int64_t N) {
    const int64_t shared = N * (m->C + (m->H + 2 * m->K) * m->D + m->H * m->D + 2 * m->F);
    const int64_t own = N * widest(m) + N * widest(m) / 4 + N * widest(m) / 32 + m->positions;
    return shared + m->threads * (own + 64) + 64;
}

/* Put N tokens through the model. `cache` is K and V of each layer: [L][2][rows][K][positions][D]. The logits of the tokens
 * `wanted` (their places among the N) go to `logits`. Returns nothing: what may be wrong is checked before it is called. */
void advance(const Model *m, int64_t N, const int64_t *ids, const int64_t *rows, const int64_t *at, float *cache,
             int64_t cache_rows, int64_t cache_positions, int64_t wanted_count, const int64_t *wanted, float *logits, float *memory) {
    const int64_t C = m->C, H = m->H, K = m->K, D = m->D, F = m->F, W = (H + 2 * K) * D, wide = widest(m);
    const int is_int8 = (int)m->is_int8;
    float *x = memory, *qkv = x + N * C, *gathered = qkv + N * W, *gate_up = gathered + N * H * D, *own = gate_up + N * 2 * F;
    const int64_t own_floats = N * wide + N * wide / 4 + N * wide / 32 + m->positions + 64;
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
#define FROM(count) ((count) * me / all / 2 * 2)
#define TO(count) (me + 1 == all ? (count) : (count) * (me + 1) / all / 2 * 2)
        float *mine = own + me * own_floats;
        Inputs in = {mine, (int8_t *)(mine + N * wide), mine + N * wide + N * wide / 4, wide};
        float *scores = in.scale + N * wide / 32;
        for (int64_t n = me; n < N; n += all) memcpy(x + n * C, m->embedding + ids[n] * C, C * sizeof(float));
        WAIT
        for (int64_t layer = 0; layer < m->L; layer++) {
            const Layer *l = m->layers + layer;
            const int64_t of_head = cache_positions * D, of_row = K * of_head;
            float *k = cache + 2 * layer * cache_rows * of_row, *v = k + cache_rows * of_row;

            fill_normalized(&in, is_int8, x, l->norm, N, C, m->eps);
            multiply(&l->qkv, is_int8, &in, N, FROM(W), TO(W), qkv, W, 0);
            WAIT
            for (int64_t unit = me; unit < N * K; unit += all) {
                const int64_t n = unit / K, g = unit % K, place = rows[n] * of_row + g * of_head;
                remember(m, l, qkv + n * W, g, at[n], k + place, v + place);
            }
            if (N > 1) { WAIT } /* tokens of one pass may look at each other; alone, a thread has what it needs */
            for (int64_t unit = me; unit < N * K; unit += all) {
                const int64_t n = unit / K, g = unit % K, place = rows[n] * of_row + g * of_head;
                for (int64_t h = g * (H / K); h < (g + 1) * (H / K); h++)
                    attend(qkv + n * W + h * D, k + place, v + place, at[n] + 1, D, scores, gathered + (n * H + h) * D);
            }
            WAIT
            fill(&in, is_int8, gathered, N, H * D, H * D);
            multiply(&l->o, is_int8, &in, N, FROM(C), TO(C), x, C, 1);
            WAIT
            fill_normalized(&in, is_int8, x, l->mlp_norm, N, C, m->eps);
            multiply(&l->gate_up, is_int8, &in, N, FROM(2 * F), TO(2 * F), gate_up, 2 * F, 0);
            WAIT
            for (int64_t n = 0; n < N; n++) { /* each thread for itself: cheaper than to wait for the others */
                const float *gate = gate_up + n * 2 * F, *up = gate + F;
                float *to = in.f + n * wide;
                for (int64_t i = 0; i < F; i++) to[i] = gate[i] / (1.0f + exponential(-gate[i])) * up[i];
                memset(to + F, 0, (padded(F) - F) * sizeof(float));
            }
            if (is_int8) quantize(&in, N, F);
            multiply(&l->down, is_int8, &in, N, FROM(C), TO(C), x, C, 1);
            WAIT
        }
        for (int64_t i = 0; i < wanted_count; i++) {
            normalize(in.f + i * wide, x + wanted[i] * C, m->final_norm, C, m->eps);
            memset(in.f + i * wide + C, 0, (padded(C) - C) * sizeof(float));
        }
        if (is_int8) quantize(&in, wanted_count, C);
        multiply(&m->head, is_int8, &in, wanted_count, FROM(m->V), TO(m->V), logits, m->V, 0);
    }
}
