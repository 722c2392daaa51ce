/* Attention of a training step, from what the product for queries, keys and values gave to what goes into the one after
 * attention, and back: norms of the heads, rotation, scores, softmax and the weighted mean.
 *
 * kernels.py compiles this file as it does fused.c. Letters are those of the model: B rows, T positions, H query heads, K
 * key/value heads, D head_dim. A key/value head of a row is one piece of work, with the query heads that share it; nothing of
 * it leaves the caches but what goes out. Scores exist for squares of EDGE queries and as many keys. Whatever the number of
 * threads, each sum adds the same numbers in the same order.
 *
 * A product wants its second factor "packed": the numbers that are added together in one row, of bfloat16 two such rows
 * interleaved, as tile registers take them. Every matrix here is wanted as it is (`rows`, T D) to be a first factor, and one or
 * both of its packed forms: `down` the positions are what is added over, `across` the coordinates are.
 */
#include "pairs.h"

#define AHEAD 12 /* rows that are asked for before they are read */

typedef struct {
    int64_t B, T, H, K, D, low, threads, room;
    float eps, unused;
    const void *qkv;              /* B T (H + 2 K) D */
    const float *q_scale, *k_scale; /* D, or NULL: heads without norms */
    const float *cos, *sin;       /* T D/2 */
    const int64_t *segments;      /* B T: which document of its row a position belongs to; one document, one stretch */
    void *y;                      /* B T H D */
    float *logs;                  /* B H T: the logarithm of the sum of each row of scores' powers */
    const void *dy;
    void *dqkv;
    float *dscales;               /* B K 2 D: gradients of q_scale and k_scale */
    char *own;                    /* `room` bytes for each thread */
} Attend;

enum { IN_PAIRS = 1, FLOATS = 0 };

INLINE int64_t size_of(int pairs) { return pairs ? 2 : 4; }

/* Positions from one row of a matrix packed `across` to the next: not a power of two, or all would fall into the same lines. */
INLINE int64_t pitch(int64_t T) { return filled_up(T, EDGE) + WIDE; }

/* Sums that registers hold beside what is multiplied: of 32 registers, or of 16. */
#if defined(__AVX512F__)
enum { ROWS = 8, COLUMNS = 2 };
#elif defined(__aarch64__)
enum { ROWS = 6, COLUMNS = 4 };
#else
enum { ROWS = 3, COLUMNS = 4 };
#endif

/* Some rows and COLUMNS vectors of a square of sums, from row r and column c on. */
INLINE void sum_floats(float *sums, int64_t stride, const float *a, int64_t a_stride, const float *b, int64_t b_stride, int64_t inner, int adds, int r, int c, int rows) {
    floats sum[ROWS][COLUMNS];
    UNROLLED
    for (int k = 0; k < rows; k++)
        UNROLLED
        for (int t = 0; t < COLUMNS; t++) sum[k][t] = adds ? load(sums, (r + k) * stride + c + t * WIDE, 0) : (floats){0};
    for (int64_t i = 0; i < inner; i++) {
        UNROLLED
        for (int k = 0; k < rows; k++)
            UNROLLED
            for (int t = 0; t < COLUMNS; t++) sum[k][t] += a[(r + k) * a_stride + i] * load(b, i * b_stride + c + t * WIDE, 0);
    }
    UNROLLED
    for (int k = 0; k < rows; k++)
        UNROLLED
        for (int t = 0; t < COLUMNS; t++) store(sums, (r + k) * stride + c + t * WIDE, sum[k][t], 0);
}

CALLED void square_of_floats(float *sums, int64_t stride, const float *a, int64_t a_stride, const float *b, int64_t b_stride, int64_t inner, int adds) {
    for (int c = 0; c < EDGE; c += COLUMNS * WIDE) {
        int r = 0;
        for (; r + ROWS <= EDGE; r += ROWS) sum_floats(sums, stride, a, a_stride, b, b_stride, inner, adds, r, c, ROWS);
        if (EDGE % ROWS) sum_floats(sums, stride, a, a_stride, b, b_stride, inner, adds, r, c, EDGE % ROWS);
    }
}

/* A square of sums: EDGE rows of a times EDGE columns of b, which is packed. */
INLINE void product(float *sums, int64_t stride, const void *a, int64_t a_stride, const void *b, int64_t b_stride, int64_t inner, int adds, int pairs) {
    if (pairs) square_of_pairs(sums, stride, (Factor){a, a_stride, EDGE}, (Factor){b, 2 * b_stride, EDGE * b_stride}, inner, adds);
    else square_of_floats(sums, stride, a, a_stride, b, b_stride, inner, adds);
}

/* Where number (row, column) of a packed matrix begins; row is even. */
INLINE void *packed_at(void *b, int64_t row, int64_t column, int64_t stride, int pairs) {
    return pairs ? (void *)((uint16_t *)b + row * stride + 2 * column) : (void *)((float *)b + row * stride + column);
}

/* Pack T rows of D so that positions are added over: rows themselves, of bfloat16 interleaved in twos. T is even. */
INLINE const void *pack_down(void *to, const void *rows, int64_t T, int64_t D, int pairs) {
    if (!pairs) return rows;
    for (int64_t t = 0; t < T; t += 2)
        for (int64_t i = 0; i < D; i += WIDE) {
            const bits first = __builtin_convertvector(*(const halves *)((const uint16_t *)rows + t * D + i), bits);
            const bits second = __builtin_convertvector(*(const halves *)((const uint16_t *)rows + (t + 1) * D + i), bits);
            *(bits *)((uint32_t *)to + t / 2 * D + i) = first | second << 16;
        }
    return to;
}

/* Pack T rows of D so that coordinates are added over: the transpose, of bfloat16 with two coordinates of a position side by side. */
CALLED void pack_across(void *to, const void *rows, int64_t T, int64_t D, int pairs) {
    const int64_t words = pairs ? D / 2 : D;
    for (int64_t t = 0; t < T; t += WIDE)
        for (int64_t i = 0; i < words; i += WIDE)
            transpose((uint32_t *)to + i * pitch(T) + t, pitch(T), (const uint32_t *)rows + t * words + i, words);
}

/* The transpose of T rows of D, plain (D T, rows a pitch apart), from what `pack_across` made of them. */
INLINE const void *transposed(void *to, const void *across, int64_t T, int64_t D, int pairs) {
    if (!pairs) return across;
    for (int64_t i = 0; i < D / 2; i++)
        for (int64_t t = 0; t < T; t += WIDE) {
            const bits both = *(const bits *)((const uint32_t *)across + i * pitch(T) + t);
            *(halves *)((uint16_t *)to + 2 * i * pitch(T) + t) = __builtin_convertvector(both & 0xffff, halves);
            *(halves *)((uint16_t *)to + (2 * i + 1) * pitch(T) + t) = __builtin_convertvector(both >> 16, halves);
        }
    return to;
}

INLINE float *take_floats(char **own, int64_t count) {
    float *taken = (float *)*own;
    *own += filled_up(count * sizeof(float), 64);
    return taken;
}

INLINE const void *head_at(const Attend *a, const void *all_heads, int64_t b, int64_t t, int64_t head, int64_t heads) {
    return (const char *)all_heads + ((b * a->T + t) * heads + head) * a->D * (a->low ? 2 : 4);
}

/* Ask for the head of a position some rows ahead: from one to the next it is too far for the CPU to guess. */
INLINE void fetch_head(const Attend *a, const void *all_heads, int64_t b, int64_t t, int64_t head, int64_t heads, int written) {
    const char *at = head_at(a, all_heads, b, least(t + AHEAD, a->T - 1), head, heads);
    for (int64_t i = 0; i < a->D * (a->low ? 2 : 4); i += 64) {
        if (written) __builtin_prefetch(at + i, 1);
        else __builtin_prefetch(at + i, 0);
    }
}

/* Rows of D of one head, up to a multiple of EDGE, zeros past the last: `turned` queries or keys, normalised, rotated and
 * scaled; others as they are. */
CALLED void take_head(const Attend *a, void *rows, const void *all_heads, int64_t b, int64_t head, int64_t heads, const float *scale, float factor, int turned, int pairs, int low) {
    const int64_t D = a->D, half = D / 2;
    for (int64_t t = 0; t < a->T; t++) {
        const void *from = head_at(a, all_heads, b, t, head, heads);
        floats squares = {0};
        float r = 1.0f;
        fetch_head(a, all_heads, b, t, head, heads, 0);
        if (turned && scale) {
            for (int64_t i = 0; i < D; i += WIDE) squares += load(from, i, low) * load(from, i, low);
            r = 1.0f / sqrtf(sum_of(squares) / (float)D + a->eps);
        }
        for (int64_t i = 0; i < half; i += WIDE) {
            floats x = load(from, i, low), y = load(from, half + i, low);
            if (turned) {
                const floats c = load(a->cos, t * half + i, 0), s = load(a->sin, t * half + i, 0);
                if (scale) x = x * r * load(scale, i, 0), y = y * r * load(scale, half + i, 0);
                const floats x_turned = x * c - y * s;
                y = (y * c + x * s) * factor;
                x = x_turned * factor;
            }
            store(rows, t * D + i, x, pairs);
            store(rows, t * D + half + i, y, pairs);
        }
    }
    memset((char *)rows + a->T * D * size_of(pairs), 0, (filled_up(a->T, EDGE) - a->T) * D * size_of(pairs));
}

/* The way back of `take_head`: gradients of turned rows (or as they are) to those of what the product gave, and of the scale. */
CALLED void give_head(const Attend *a, const float *drows, int64_t b, int64_t head, const float *scale, float *dscale, float factor, int turned, int low) {
    const int64_t D = a->D, half = D / 2, heads = a->H + 2 * a->K;
    for (int64_t t = 0; t < a->T; t++) {
        const void *from = head_at(a, a->qkv, b, t, head, heads);
        void *to = (void *)head_at(a, a->dqkv, b, t, head, heads);
        fetch_head(a, a->qkv, b, t, head, heads, 0);
        fetch_head(a, a->dqkv, b, t, head, heads, 1);
        floats squares = {0}, dots = {0};
        float r = 1.0f, mean = 0.0f, turned_back[256];
        for (int64_t i = 0; i < half; i += WIDE) {
            floats dx = load(drows, t * D + i, 0), dy = load(drows, t * D + half + i, 0);
            if (turned) {
                const floats c = load(a->cos, t * half + i, 0), s = load(a->sin, t * half + i, 0);
                const floats back = (dx * c + dy * s) * factor;
                dy = (dy * c - dx * s) * factor;
                dx = back;
            }
            store(turned_back, i, dx, 0);
            store(turned_back, half + i, dy, 0);
        }
        if (turned && scale) {
            for (int64_t i = 0; i < D; i += WIDE) squares += load(from, i, low) * load(from, i, low);
            r = 1.0f / sqrtf(sum_of(squares) / (float)D + a->eps);
            for (int64_t i = 0; i < D; i += WIDE) {
                const floats unit = load(from, i, low) * r, d = load(turned_back, i, 0);
                store(dscale, i, load(dscale, i, 0) + d * unit, 0);
                dots += d * load(scale, i, 0) * unit;
            }
            mean = sum_of(dots) / (float)D;
        }
        for (int64_t i = 0; i < D; i += WIDE) {
            floats d = load(turned_back, i, 0);
            if (turned && scale) d = (d * load(scale, i, 0) - load(from, i, low) * r * mean) * r;
            store(to, i, d, low);
        }
    }
}

/* For each position the first one of its document. */
INLINE void find_begins(const Attend *a, int64_t b, int32_t *begins) {
    const int64_t *segments = a->segments + b * a->T;
    for (int64_t t = 0; t < filled_up(a->T, EDGE); t++)
        begins[t] = t >= a->T ? (int32_t)(a->T) : t == 0 || segments[t] != segments[t - 1] ? (int32_t)t : begins[t - 1];
}

/* Softmax over what each of EDGE queries from q on sees, keys from `from` on: scores to powers, their sums apart. */
CALLED void soften(const Attend *a, const float *scores, int64_t stride, void *powers, const int32_t *begins, float *logs, float *back, int64_t q, int64_t from, int pairs) {
    for (int k = 0; k < EDGE; k++) {
        const float *row = scores + k * stride;
        const int32_t first = (int32_t)(begins[q + k] - from), last = (int32_t)(q + k - from); /* that it sees */
        floats most = all(-INFINITY), sums = {0};
        for (int32_t i = first / WIDE * WIDE; i <= last; i += WIDE) {
            const floats score = load(row, i, 0);
            const ints at = COUNT + i;
            most = larger(i >= first && i + WIDE - 1 <= last ? score : choose((at >= first) & (at <= last), score, all(-INFINITY)), most);
        }
        const float largest = most_of(most);
        for (int32_t i = 0; i < q + EDGE - from; i += WIDE) {
            floats power = {0};
            if (i + WIDE > first && i <= last) {
                const ints at = COUNT + i;
                power = exponential(load(row, i, 0) - largest, pairs);
                if (i < first || i + WIDE - 1 > last) power = choose((at >= first) & (at <= last), power, (floats){0});
                sums += power;
            }
            store(powers, k * stride + i, power, pairs);
        }
        const float sum = sum_of(sums);
        back[k] = q + k < a->T ? 1.0f / sum : 0.0f;
        if (q + k < a->T) logs[q + k] = largest + logf(sum);
    }
}

INLINE void attend_heads(const Attend *a, int64_t b, int64_t kv, char *own, int pairs, int low) {
    const int64_t T = filled_up(a->T, EDGE), D = a->D, G = a->H / a->K, heads = a->H + 2 * a->K, stride = pitch(T);
    int32_t *begins = (int32_t *)take_floats(&own, T);
    float *rows = take_floats(&own, T * D), *across = take_floats(&own, D * stride), *values = take_floats(&own, T * D);
    float *queries = take_floats(&own, T * D), *scores = take_floats(&own, EDGE * stride), *shares = take_floats(&own, EDGE * stride);
    float sums[EDGE * EDGE] = {0}, back[EDGE]; /* zeros, since GCC does not see that a product fills its square */
    find_begins(a, b, begins);
    take_head(a, rows, a->qkv, b, a->H + kv, heads, a->k_scale, 1.0f, 1, pairs, low);
    pack_across(across, rows, T, D, pairs);
    take_head(a, rows, a->qkv, b, a->H + a->K + kv, heads, NULL, 1.0f, 0, pairs, low);
    const void *down = pack_down(values, rows, T, D, pairs);
    for (int64_t h = kv * G; h < (kv + 1) * G; h++) {
        take_head(a, queries, a->qkv, b, h, heads, a->q_scale, 1.0f / sqrtf((float)D), 1, pairs, low);
        for (int64_t q = 0; q < T; q += EDGE) {
            const int64_t from = begins[q] / EDGE * EDGE, end = q + EDGE - from;
            for (int64_t k = 0; k < end; k += EDGE)
                product(scores + k, stride, (char *)queries + q * D * size_of(pairs), D, packed_at(across, 0, from + k, stride, pairs), stride, D, 0, pairs);
            soften(a, scores, stride, shares, begins, a->logs + (b * a->H + h) * a->T, back, q, from, pairs);
            for (int64_t i = 0; i < D; i += EDGE) {
                product(sums, EDGE, shares, stride, packed_at((void *)down, from, i, D, pairs), D, end, 0, pairs);
                for (int64_t k = 0; k < least(EDGE, a->T - q); k++)
                    for (int64_t c = 0; c < EDGE; c += WIDE)
                        store((void *)head_at(a, a->y, b, q + k, h, a->H), i + c, load(sums, k * EDGE + c, 0) * back[k], low);
            }
        }
    }
}

/* Of a square of keys k.. and queries q..: shares (as the forward pass had them) and the gradients of the scores, as first
 * factors (EDGE keys by EDGE queries), the latter also packed. */
CALLED void blame(const float *scores, const float *dshares, void *shares, void *dscores, void *packed, const int32_t *begins, const float *logs, const float *dots, int64_t k, int64_t q, int pairs) {
    for (int row = 0; row < EDGE; row += 2)
        for (int c = 0; c < EDGE; c += WIDE) {
            floats d[2];
            UNROLLED
            for (int second = 0; second < 2; second++) {
                const int64_t at = (row + second) * EDGE + c;
                const int32_t key = (int32_t)(k + row + second);
                const ints first = *(const ints *)(begins + q + c), seen = (first <= key) & (COUNT + (int32_t)(q + c) >= key);
                const int whole = begins[q + c + WIDE - 1] <= key && q + c >= key;
                floats share = exponential(load(scores, at, 0) - load(logs, q + c, 0), pairs);
                if (!whole) share = choose(seen, share, (floats){0});
                d[second] = share * (load(dshares, at, 0) - load(dots, q + c, 0));
                store(shares, at, share, pairs);
                store(dscores, at, d[second], pairs);
            }
            if (pairs) {
                const bits low0 = __builtin_convertvector(rounded(d[0]), bits), low1 = __builtin_convertvector(rounded(d[1]), bits);
                *(bits *)((uint32_t *)packed + row / 2 * EDGE + c) = low0 | low1 << 16;
            }
        }
}

INLINE void attend_back_heads(const Attend *a, int64_t b, int64_t kv, char *own, int pairs, int low) {
    const int64_t T = filled_up(a->T, EDGE), D = a->D, G = a->H / a->K, heads = a->H + 2 * a->K, stride = pitch(T), size = size_of(pairs);
    int32_t *begins = (int32_t *)take_floats(&own, T);
    float *keys = take_floats(&own, T * D), *values = take_floats(&own, T * D), *across = take_floats(&own, D * stride), *turned = take_floats(&own, D * stride);
    float *q_rows = take_floats(&own, T * D), *q_across = take_floats(&own, D * stride), *q_packed = take_floats(&own, T * D);
    float *y_rows = take_floats(&own, T * D), *y_across = take_floats(&own, D * stride), *y_packed = take_floats(&own, T * D);
    float *dkeys = take_floats(&own, T * D), *dvalues = take_floats(&own, T * D), *dqueries = take_floats(&own, D * stride), *dq_rows = take_floats(&own, T * D);
    float *logs = take_floats(&own, T), *dots = take_floats(&own, T), *dscale = a->dscales + (b * a->K + kv) * 2 * D;
    float scores[EDGE * EDGE] = {0}, dshares[EDGE * EDGE] = {0}, shares[EDGE * EDGE], dscores[EDGE * EDGE], packed[EDGE * EDGE];
    find_begins(a, b, begins);
    memset(dscale, 0, 2 * D * sizeof *dscale);
    memset(dkeys, 0, T * D * sizeof *dkeys);
    memset(dvalues, 0, T * D * sizeof *dvalues);
    take_head(a, keys, a->qkv, b, a->H + kv, heads, a->k_scale, 1.0f, 1, pairs, low);
    pack_across(across, keys, T, D, pairs);
    const void *keys_turned = transposed(turned, across, T, D, pairs);
    take_head(a, values, a->qkv, b, a->H + a->K + kv, heads, NULL, 1.0f, 0, pairs, low);
    for (int64_t h = kv * G; h < (kv + 1) * G; h++) {
        const float factor = 1.0f / sqrtf((float)D);
        take_head(a, q_rows, a->qkv, b, h, heads, a->q_scale, factor, 1, pairs, low);
        pack_across(q_across, q_rows, T, D, pairs);
        const void *q_down = pack_down(q_packed, q_rows, T, D, pairs);
        take_head(a, y_rows, a->dy, b, h, a->H, NULL, 1.0f, 0, pairs, low);
        pack_across(y_across, y_rows, T, D, pairs);
        const void *y_down = pack_down(y_packed, y_rows, T, D, pairs);
        memset(dqueries, 0, D * stride * sizeof *dqueries);
        memset(logs, 0, T * sizeof *logs);
        memset(dots, 0, T * sizeof *dots);
        memcpy(logs, a->logs + (b * a->H + h) * a->T, a->T * sizeof *logs);
        for (int64_t t = 0; t < a->T; t++) {
            floats dot = {0};
            for (int64_t i = 0; i < D; i += WIDE) dot += load(head_at(a, a->y, b, t, h, a->H), i, low) * load(head_at(a, a->dy, b, t, h, a->H), i, low);
            dots[t] = sum_of(dot);
        }
        for (int64_t q = 0; q < T; q += EDGE)
            for (int64_t k = begins[q] / EDGE * EDGE; k <= q; k += EDGE) {
                product(scores, EDGE, (char *)keys + k * D * size, D, packed_at(q_across, 0, q, stride, pairs), stride, D, 0, pairs);
                product(dshares, EDGE, (char *)values + k * D * size, D, packed_at(y_across, 0, q, stride, pairs), stride, D, 0, pairs);
                blame(scores, dshares, shares, dscores, packed, begins, logs, dots, k, q, pairs);
                for (int64_t i = 0; i < D; i += EDGE) {
                    product(dvalues + k * D + i, D, shares, EDGE, packed_at((void *)y_down, q, i, D, pairs), D, EDGE, 1, pairs);
                    product(dkeys + k * D + i, D, dscores, EDGE, packed_at((void *)q_down, q, i, D, pairs), D, EDGE, 1, pairs);
                    product(dqueries + i * stride + q, stride, (char *)keys_turned + (i * stride + k) * size, stride, pairs ? packed : dscores, EDGE, EDGE, 1, pairs);
                }
            }
        for (int64_t t = 0; t < T; t += WIDE)
            for (int64_t i = 0; i < D; i += WIDE) transpose((uint32_t *)dq_rows + t * D + i, D, (uint32_t *)dqueries + i * stride + t, stride);
        give_head(a, dq_rows, b, h, a->q_scale, dscale, factor, 1, low);
    }
    give_head(a, dkeys, b, a->H + kv, a->k_scale, dscale + D, 1.0f, 1, low);
    give_head(a, dvalues, b, a->H + a->K + kv, NULL, NULL, 1.0f, 0, low);
}

/* Bytes that each thread wants as its own. */
int64_t attend_room(const Attend *a) {
    const int64_t T = filled_up(a->T, EDGE);
    return 4 * (9 * T * a->D + 5 * a->D * pitch(T) + 2 * EDGE * pitch(T) + 4 * T) + 64 * 20;
}

#define BY_PIECES(work)                                                                                  \
    const int pairs = a->low && has_pairs();                                                             \
    _Pragma("omp parallel for num_threads(a->threads) schedule(dynamic, 1)")                             \
    for (int64_t piece = 0; piece < a->B * a->K; piece++) {                                              \
        char *own = a->own + ME * a->room;                                                               \
        if (pairs) begin_pairs();                                                                        \
        if (pairs) work(a, piece / a->K, piece % a->K, own, IN_PAIRS, 1);                              \
        else if (a->low) work(a, piece / a->K, piece % a->K, own, FLOATS, 1);                            \
        else work(a, piece / a->K, piece % a->K, own, FLOATS, 0);                                        \
        if (pairs) end_pairs();                                                                          \
    }

void attend(const Attend *a) { BY_PIECES(attend_heads) }

void attend_back(const Attend *a) { BY_PIECES(attend_back_heads) }
