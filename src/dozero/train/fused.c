/* What stands between the matrix products of a training step, each part in one go over memory: norms, gates, the loss and
 * the updates of model/transformer.py, train/loss.py and train/optim.py, forward and backward, written for a CPU.
 *
 * kernels.py compiles this file with the C compiler of the machine and calls it between torch's products; the tests compare it
 * with the model and its gradients. Letters are those of the model: C d_model, F d_ff, V vocabulary, N rows. Whatever the
 * number of threads, each sum adds the same numbers in the same order: what is added over rows is added up over PART of them
 * here, and over these parts by whoever called.
 */
#include "vectors.h"

#define PART 64 /* rows whose sums are added up here */
#define AT_ONCE 4096 /* numbers of a long row that one thread takes */

/* --- norms -------------------------------------------------------------------------------------------------------- */

INLINE void norm_rows(const void *x, const float *weight, void *y, float *r, int64_t N, int64_t C, float eps, int threads, int low) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t n = 0; n < N; n++) {
        floats squares = {0};
        for (int64_t i = 0; i < C; i += WIDE) {
            const floats v = load_some(x, n * C + i, C - i, low);
            squares += v * v;
        }
        r[n] = 1.0f / sqrtf(sum_of(squares) / (float)C + eps);
        for (int64_t i = 0; i < C; i += WIDE)
            store_some(y, n * C + i, load_some(x, n * C + i, C - i, low) * r[n] * load_some(weight, i, C - i, 0), C - i, low);
    }
}

/* y = x / rms(x) * weight of N rows, and r = 1 / rms(x). */
void norm(const void *x, const float *weight, void *y, float *r, int64_t N, int64_t C, float eps, int threads, int low) {
    if (low) norm_rows(x, weight, y, r, N, C, eps, threads, 1);
    else norm_rows(x, weight, y, r, N, C, eps, threads, 0);
}

INLINE void norm_back_rows(const void *dy, const void *x, const float *r, const float *weight, const void *beside, void *dx, float *dw, int64_t N, int64_t C, int threads, int low) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t part = 0; part < filled_up(N, PART) / PART; part++) {
        float *sums = dw + part * C;
        memset(sums, 0, C * sizeof *sums);
        for (int64_t n = part * PART; n < least(N, (part + 1) * PART); n++) {
            floats dots = {0};
            for (int64_t i = 0; i < C; i += WIDE) {
                const floats unit = load_some(x, n * C + i, C - i, low) * r[n], d = load_some(dy, n * C + i, C - i, low);
                store_some(sums, i, load_some(sums, i, C - i, 0) + d * unit, C - i, 0);
                dots += d * load_some(weight, i, C - i, 0) * unit;
            }
            const float mean = sum_of(dots) / (float)C;
            for (int64_t i = 0; i < C; i += WIDE) {
                const floats unit = load_some(x, n * C + i, C - i, low) * r[n], d = load_some(dy, n * C + i, C - i, low);
                const floats back = (d * load_some(weight, i, C - i, 0) - unit * mean) * r[n];
                store_some(dx, n * C + i, load_some(beside, n * C + i, C - i, low) + back, C - i, low);
            }
        }
    }
}

/* dx = beside + what comes back through a norm; dw: a row of C for each PART rows. */
void norm_back(const void *dy, const void *x, const float *r, const float *weight, const void *beside, void *dx, float *dw, int64_t N, int64_t C, int threads, int low) {
    if (low) norm_back_rows(dy, x, r, weight, beside, dx, dw, N, C, threads, 1);
    else norm_back_rows(dy, x, r, weight, beside, dx, dw, N, C, threads, 0);
}

/* --- the gated unit ----------------------------------------------------------------------------------------------- */

INLINE void gate_rows(const void *gate_up, void *y, int64_t N, int64_t F, int threads, int low) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < F; i += WIDE) {
            const floats g = load_some(gate_up, 2 * n * F + i, F - i, low), u = load_some(gate_up, (2 * n + 1) * F + i, F - i, low);
            store_some(y, n * F + i, g / (1.0f + exponential(-g, low)) * u, F - i, low);
        }
}

/* y = silu(gate) * up; a row of gate_up holds F of the one, then F of the other. */
void gate(const void *gate_up, void *y, int64_t N, int64_t F, int threads, int low) {
    if (low) gate_rows(gate_up, y, N, F, threads, 1);
    else gate_rows(gate_up, y, N, F, threads, 0);
}

INLINE void gate_back_rows(void *gate_up, void *dy, int64_t N, int64_t F, int threads, int low) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < F; i += WIDE) {
            const floats g = load_some(gate_up, 2 * n * F + i, F - i, low), u = load_some(gate_up, (2 * n + 1) * F + i, F - i, low);
            const floats d = load_some(dy, n * F + i, F - i, low);
            const floats share = 1.0f / (1.0f + exponential(-g, low)), silu = g * share;
            store_some(dy, n * F + i, silu * u, F - i, low);
            store_some(gate_up, 2 * n * F + i, d * u * share * (1.0f + g - silu), F - i, low);
            store_some(gate_up, (2 * n + 1) * F + i, d * silu, F - i, low);
        }
}

/* Put the gradients for gate and up in the place of these, and y, which the weights after it want, in the place of dy. */
void gate_back(void *gate_up, void *dy, int64_t N, int64_t F, int threads, int low) {
    if (low) gate_back_rows(gate_up, dy, N, F, threads, 1);
    else gate_back_rows(gate_up, dy, N, F, threads, 0);
}

/* --- the loss ----------------------------------------------------------------------------------------------------- */

INLINE void surprise_row(void *logits, int64_t target, float *nats, float *powers, int64_t V, float scale, int low) {
    floats most = all(-INFINITY), sums = {0};
    int64_t i = 0;
    for (; i + WIDE <= V; i += WIDE) most = larger(load(logits, i, low), most);
    float largest = most_of(most);
    for (; i < V; i++) largest = fmaxf(largest, sum_of(load_some(logits, i, 1, low)));
    for (i = 0; i < V; i += WIDE) {
        floats power = exponential(load_some(logits, i, V - i, low) - largest, 0);
        if (V - i < WIDE) power = choose(COUNT < (int32_t)(V - i), power, (floats){0});
        store(powers, i, power, 0);
        sums += power;
    }
    const float sum = sum_of(sums), share = scale / sum;
    *nats = logf(sum) + largest - sum_of(load_some(logits, target, 1, low));
    for (i = 0; i < V; i += WIDE) store_some(logits, i, load(powers, i, 0) * share, V - i, low);
    const floats at_target = all(powers[target] * share - scale);
    store_some(logits, target, at_target, 1, low);
}

/* Put the gradient of `scale` times the sum of -log softmax(logits)[target] in the place of the logits, and each row's nats
 * into `nats`: 0, and no gradient, where the target is `ignore`. `own`: filled_up(V, 16) floats for each thread. */
void surprise(void *logits, const int64_t *targets, float *nats, float *own, int64_t N, int64_t V, float scale, int64_t ignore, int threads, int low) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t n = 0; n < N; n++) {
        char *row = (char *)logits + n * V * (low ? 2 : 4);
        nats[n] = 0;
        if (targets[n] == ignore) memset(row, 0, V * (low ? 2 : 4));
        else if (low) surprise_row(row, targets[n], nats + n, own + ME * filled_up(V, WIDE), V, scale, 1);
        else surprise_row(row, targets[n], nats + n, own + ME * filled_up(V, WIDE), V, scale, 0);
    }
}

/* --- AdamW -------------------------------------------------------------------------------------------------------- */

/* One step of P numbers: mean and square of the gradients g are kept, p moves by `rate` * mean / (sqrt(square * mend) + eps)
 * after it shrank by `keep`. */
void adam(float *p, const float *g, float *mean, float *square, int64_t P, float beta1, float beta2, float rate, float mend, float keep, float eps, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t begin = 0; begin < P; begin += AT_ONCE)
        for (int64_t i = begin; i < least(P, begin + AT_ONCE); i++) {
            mean[i] += (1.0f - beta1) * (g[i] - mean[i]);
            square[i] = beta2 * square[i] + (1.0f - beta2) * g[i] * g[i];
            p[i] = p[i] * keep - rate * mean[i] / (sqrtf(square[i] * mend) + eps);
        }
}

/* --- Muon, before and after it orthogonalises ---------------------------------------------------------------------- */

INLINE void blend_all(const float *g, float *momentum, void *to, int64_t P, float keep, int threads, int low) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < P; i += WIDE) {
        const floats now = load_some(g, i, P - i, 0), before = load_some(momentum, i, P - i, 0);
        const floats mean = before + (now - before) * (1.0f - keep);
        store_some(momentum, i, mean, P - i, 0);
        store_some(to, i, now + (mean - now) * keep, P - i, low);
    }
}

/* The momentum of P gradients, moved on, and `to`: the gradients moved as far towards it (Nesterov). */
void blend(const float *g, float *momentum, void *to, int64_t P, float keep, int threads, int low) {
    if (low) blend_all(g, momentum, to, P, keep, threads, 1);
    else blend_all(g, momentum, to, P, keep, threads, 0);
}

INLINE void move_all(float *p, const void *direction, int64_t P, float keep, float rate, int threads, int low) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < P; i += WIDE)
        store_some(p, i, load_some(p, i, P - i, 0) * keep - load_some(direction, i, P - i, low) * rate, P - i, 0);
}

/* P weights shrink by `keep`, then step against a direction. */
void move(float *p, const void *direction, int64_t P, float keep, float rate, int threads, int low) {
    if (low) move_all(p, direction, P, keep, rate, threads, 1);
    else move_all(p, direction, P, keep, rate, threads, 0);
}
