/* Muon's rounds of Newton-Schulz (train/optim.py, `orthogonalize`) by what multiplies bfloat16 in twos (pairs.h), for matrices of one shape.
 *
 * kernels.py compiles this file as it does fused.c. A matrix X has R rows and C >= R columns, both filled up with zeros to
 * multiples of EDGE, and lies in blocks of EDGE rows and columns: numbers that are multiplied together stand together, whatever
 * the shape. A round makes G = X Xt, Z = b G + c G Gt and X = a X + Z X. G and Z are symmetric: each block is computed once, and
 * put in its place and, turned, in that of its mirror image. A piece of work is a column of blocks.
 */
#include "pairs.h"

#define BLOCK (EDGE * EDGE)

typedef struct {
    int64_t N, rows, columns, threads;
    float a, b, c; /* of the polynomial */
    int32_t rounds;
    const uint16_t *from; /* N rows columns */
    uint16_t *to;
    char *own; /* `orthogonal_room` bytes */
} Orthogonal;

int multiplies_pairs(void) { return has_pairs(); }

#if defined(__AMX_BF16__) || defined(__AVX512BF16__)

INLINE int64_t short_side(const Orthogonal *o) { return filled_up(least(o->rows, o->columns), EDGE) / EDGE; }

INLINE int64_t long_side(const Orthogonal *o) { return filled_up(o->rows + o->columns - least(o->rows, o->columns), EDGE) / EDGE; }

/* A block whose numbers are added over along its rows, as second factor: the two halves of 16 words turned. */
INLINE void pack_turned(uint16_t *to, const uint16_t *block) {
    for (int half = 0; half < 2; half++)
        transpose((uint32_t *)to + half * WIDE, EDGE, (const uint32_t *)block + half * WIDE * WIDE, WIDE);
}

/* A block whose numbers are added over along its columns, as second factor: two rows interleaved. */
INLINE void pack_twos(uint16_t *to, const uint16_t *block) {
    for (int r = 0; r < EDGE; r += 2)
        for (int c = 0; c < EDGE; c += WIDE) {
            const bits first = __builtin_convertvector(*(const halves *)(block + r * EDGE + c), bits);
            const bits second = __builtin_convertvector(*(const halves *)(block + (r + 1) * EDGE + c), bits);
            *(bits *)((uint32_t *)to + r / 2 * EDGE + c) = first | second << 16;
        }
}

/* sums (EDGE EDGE) of `count` blocks times as many packed ones. */
INLINE void sum_blocks(float *sums, const uint16_t *a, const uint16_t *packed, int64_t count) {
    square_of_pairs(sums, EDGE, (Factor){a, EDGE, BLOCK}, (Factor){packed, 2 * EDGE, BLOCK}, count * EDGE, 0);
}

/* A block of floats, turned. */
INLINE void turn_block(float *to, const float *from) {
    for (int r = 0; r < EDGE; r += WIDE)
        for (int c = 0; c < EDGE; c += WIDE) transpose((uint32_t *)to + c * EDGE + r, EDGE, (const uint32_t *)from + r * EDGE + c, EDGE);
}

/* to = keep * from + share * sums, and if wanted turned into `mirror`. */
INLINE void put_block(uint16_t *to, uint16_t *mirror, const uint16_t *from, float keep, const float *sums, float share) {
    float whole[BLOCK], turned[BLOCK];
    for (int i = 0; i < BLOCK; i += WIDE) {
        floats value = load(sums, i, 0) * share;
        if (from) value += load(from, i, 1) * keep;
        store(to, i, value, 1);
        if (mirror) store(whole, i, value, 0);
    }
    if (!mirror) return;
    turn_block(turned, whole);
    for (int i = 0; i < BLOCK; i += WIDE) store(mirror, i, load(turned, i, 0), 1);
}

/* Column j of blocks of `to` (R R), down to the diagonal, and its mirror image: keep * from + share * x xt. */
INLINE void multiply_by_own(uint16_t *to, const uint16_t *from, float keep, const uint16_t *x, int64_t R, int64_t C, int64_t j, float share, uint16_t *panel) {
    float sums[BLOCK];
    for (int64_t k = 0; k < C; k++) pack_turned(panel + k * BLOCK, x + (j * C + k) * BLOCK);
    for (int64_t i = 0; i <= j; i++) {
        sum_blocks(sums, x + i * C * BLOCK, panel, C);
        put_block(to + (i * R + j) * BLOCK, i < j ? to + (j * R + i) * BLOCK : NULL, from ? from + (i * R + j) * BLOCK : NULL, keep, sums, share);
    }
}

/* Column j of blocks of x (R C) becomes keep * x + share * z x. */
INLINE void multiply_by(uint16_t *x, const uint16_t *z, float keep, float share, int64_t R, int64_t C, int64_t j, uint16_t *panel) {
    float sums[BLOCK];
    for (int64_t k = 0; k < R; k++) pack_twos(panel + k * BLOCK, x + (k * C + j) * BLOCK);
    for (int64_t i = 0; i < R; i++) {
        uint16_t *block = x + (i * C + j) * BLOCK;
        sum_blocks(sums, z + i * R * BLOCK, panel, R);
        put_block(block, NULL, block, keep, sums, share);
    }
}

/* The block at (i, j) of a matrix of `rows` by `columns` numbers, zeros where it has none. */
INLINE void take_block(float *block, const uint16_t *from, int64_t rows, int64_t columns, int64_t i, int64_t j) {
    for (int64_t r = 0; r < EDGE; r++)
        for (int64_t c = 0; c < EDGE; c += WIDE) {
            const int64_t row = i * EDGE + r, column = j * EDGE + c;
            const int inside = row < rows && column < columns;
            store(block, r * EDGE + c, inside ? load_some(from, row * columns + column, columns - column, 1) : (floats){0}, 0);
        }
}

INLINE void give_block(uint16_t *to, const float *block, int64_t rows, int64_t columns, int64_t i, int64_t j) {
    for (int64_t r = 0; r < least(EDGE, rows - i * EDGE); r++)
        for (int64_t c = 0; c < least(EDGE, columns - j * EDGE); c += WIDE)
            store_some(to, (i * EDGE + r) * columns + j * EDGE + c, load(block, r * EDGE + c, 0), columns - j * EDGE - c, 1);
}

/* The sum of the squares of a block. */
INLINE float squares_of(const uint16_t *block) {
    floats squares = {0};
    for (int k = 0; k < BLOCK; k += WIDE) {
        const floats value = load(block, k, 1);
        squares += value * value;
    }
    return sum_of(squares);
}

/* Block (i, j) of x from its place in a matrix that may be tall; returns the sum of squares. */
INLINE float fetch(uint16_t *x, const uint16_t *from, const Orthogonal *o, int64_t i, int64_t j) {
    float block[BLOCK], turned[BLOCK];
    const int tall = o->rows > o->columns;
    take_block(block, from, o->rows, o->columns, tall ? j : i, tall ? i : j);
    if (tall) turn_block(turned, block);
    for (int k = 0; k < BLOCK; k += WIDE) store(x, k, load(tall ? turned : block, k, 0), 1);
    return squares_of(x);
}

INLINE void deliver(uint16_t *to, const uint16_t *x, const Orthogonal *o, int64_t i, int64_t j) {
    float block[BLOCK], turned[BLOCK];
    const int tall = o->rows > o->columns;
    for (int k = 0; k < BLOCK; k += WIDE) store(block, k, load(x, k, 1), 0);
    if (tall) turn_block(turned, block);
    give_block(to, tall ? turned : block, o->rows, o->columns, tall ? j : i, tall ? i : j);
}

/* Bytes wanted: x, G and Z of each matrix, the squares of its blocks, its two scales, and a column of blocks for each thread. */
int64_t orthogonal_room(const Orthogonal *o) {
    const int64_t R = short_side(o), C = long_side(o);
    return o->N * (R * C + 2 * R * R) * BLOCK * 2 + filled_up(o->N * (R * C + 2) * 4, 64) + o->threads * C * BLOCK * 2;
}

/* The norm of a matrix of `count` blocks, from the squares of each. */
INLINE float norm_of(const float *squares, int64_t count) {
    float sum = 0.0f;
    for (int64_t k = 0; k < count; k++) sum += squares[k];
    return sqrtf(sum) + 1e-7f;
}

/* The polynomial of each matrix, `rounds` times over, after it was divided by the root of the norm of its G. (And by its own norm
 * before, for G not to leave the range of floats.) The first round does so as it multiplies. */
void orthogonalize(const Orthogonal *o) {
    const int64_t R = short_side(o), C = long_side(o), N = o->N, size = o->rows * o->columns;
    uint16_t *x = (uint16_t *)o->own, *g = x + N * R * C * BLOCK, *z = g + N * R * R * BLOCK, *panels = z + N * R * R * BLOCK;
    float *squares = (float *)(panels + o->threads * C * BLOCK), *scales = squares + N * R * C, *more = scales + N;
#pragma omp parallel num_threads(o->threads)
    {
        uint16_t *panel = panels + ME * C * BLOCK;
        begin_pairs();
#pragma omp for schedule(static)
        for (int64_t k = 0; k < N * R * C; k++)
            squares[k] = fetch(x + k * BLOCK, o->from + k / (R * C) * size, o, k / C % R, k % C);
#pragma omp for schedule(static)
        for (int64_t n = 0; n < N; n++) scales[n] = 1.0f / norm_of(squares + n * R * C, R * C);
        for (int32_t round = 0; round < o->rounds; round++) {
            /* The longest columns first, so that none is left to one thread at the end. */
#pragma omp for schedule(dynamic, 1)
            for (int64_t k = 0; k < N * R; k++) {
                const int64_t n = k % N, j = R - 1 - k / N;
                const float scale = round ? 1.0f : scales[n];
                multiply_by_own(g + n * R * R * BLOCK, NULL, 0.0f, x + n * R * C * BLOCK, R, C, j, scale * scale, panel);
            }
            if (!round) {
#pragma omp for schedule(static)
                for (int64_t k = 0; k < N * R * R; k++) squares[k] = squares_of(g + k * BLOCK);
#pragma omp for schedule(static)
                for (int64_t n = 0; n < N; n++) more[n] = 1.0f / norm_of(squares + n * R * R, R * R);
            }
#pragma omp for schedule(dynamic, 1)
            for (int64_t k = 0; k < N * R; k++) {
                const int64_t n = k % N, j = R - 1 - k / N;
                const float scale = round ? 1.0f : more[n];
                multiply_by_own(z + n * R * R * BLOCK, g + n * R * R * BLOCK, o->b * scale, g + n * R * R * BLOCK, R, R, j, o->c * scale * scale, panel);
            }
#pragma omp for schedule(dynamic, 1)
            for (int64_t k = 0; k < N * C; k++) {
                const float scale = round ? 1.0f : scales[k / C] * sqrtf(more[k / C]);
                multiply_by(x + k / C * R * C * BLOCK, z + k / C * R * R * BLOCK, o->a * scale, scale, R, C, k % C, panel);
            }
        }
#pragma omp for schedule(static)
        for (int64_t k = 0; k < N * R * C; k++)
            deliver(o->to + k / (R * C) * size, x + k * BLOCK, o, k / C % R, k % C);
        end_pairs();
    }
}

#else
int64_t orthogonal_room(const Orthogonal *o) { return (void)o, 0; }
void orthogonalize(const Orthogonal *o) { (void)o; }
#endif
