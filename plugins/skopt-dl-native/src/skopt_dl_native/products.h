/* Products of matrices of small and middle size, for which BLAS prepares more than it has to.

   The sums of ROWS rows and one or two vectors of columns stay in registers, from the term that they
   begin with to the function that is written of them. The left factor is read where it lies if its
   rows have no gaps, or if few panels need it, else from strips of ROWS rows; the right one in
   panels of so many vectors, from a copy where it lies otherwise. */

#ifndef SKOPT_DL_PRODUCTS_H
#define SKOPT_DL_PRODUCTS_H

#include <string.h>

#include "interpreter.h"
#include "vectors.h"

#define ROWS 6
/* Rows of a panel, and columns of a strip, that are done at a time: a panel fits the first-level
   cache. */
#define DEEPEST 256
/* Bytes of strips that are made at a time: they stay in the second-level cache. */
#define STRIP_BYTES (256 * 1024)
/* Panels from which strips are worth their copy, and rows from which panels are: unless what they
   are read from is so many bytes apart at most, which the first-level cache has room for. */
#define MANY_PANELS 3
#define MANY_ROWS (8 * ROWS)
#define NEAR_OF_STRIPS 1024
#define NEAR_OF_PANELS 512
/* Elements of a panel that are copied from columns in the time of a multiplication of vectors; and
   such multiplications in that of an element of the result whose neighbours are apart in memory. */
#define COPIED 2
#define SCATTERED 2

#define MATRICES(t, T)                                                                             \
    /* Elements from one row, and from one column, to the next. */                                 \
    typedef struct { T *start; int64_t down, across; } Matrix_##t;                                 \
                                                                                                   \
    /* What becomes of sums: they begin with a term, if there is one, so many times another is added \
       to them, and a function of them is written: RELU, RELU_GRADIENT with a mask, or COPY. */    \
    typedef struct {                                                                               \
        Matrix_##t out, term, added, mask;                                                         \
        T times;                                                                                   \
        int64_t function;                                                                          \
    } Target_##t;                                                                                  \
                                                                                                   \
    static inline Matrix_##t cut_##t(Matrix_##t x, int64_t top, int64_t left) {                    \
        if (x.start) x.start += top * x.down + left * x.across;                                    \
        return x;                                                                                  \
    }                                                                                              \
                                                                                                   \
    static inline Matrix_##t turned_##t(Matrix_##t x) {                                            \
        return (Matrix_##t){x.start, x.across, x.down};                                            \
    }                                                                                              \
                                                                                                   \
    static inline T finished_##t(const Target_##t *to, int64_t i, int64_t j, T sum) {              \
        if (to->added.start)                                                                       \
            sum += to->times * to->added.start[i * to->added.down + j * to->added.across];         \
        if (to->function == RELU) return sum <= 0 ? 0 : sum;                                       \
        if (to->function == RELU_GRADIENT)                                                         \
            return to->mask.start[i * to->mask.down + j * to->mask.across] > 0 ? sum : 0;          \
        return sum;                                                                                \
    }                                                                                              \
                                                                                                   \
    /* Elements at any distance: terms of rows from the i-th on, and what is written. */           \
    static void gather_##t(const Target_##t *to, int64_t i, int n_rows, int64_t n_columns,         \
                           int64_t full, T *sums) {                                                \
        const Matrix_##t x = cut_##t(to->term, i, 0);                                              \
        for (int64_t r = 0; r < n_rows; r++)                                                       \
            for (int64_t j = 0; j < full; j++)                                                     \
                sums[r * full + j] = j < n_columns ? x.start[r * x.down + j * x.across] : 0;       \
    }                                                                                              \
                                                                                                   \
    static void scatter_##t(const Target_##t *to, int64_t i, int n_rows, int64_t n_columns,        \
                            int64_t full, const T *sums) {                                         \
        const Matrix_##t x = cut_##t(to->out, i, 0);                                               \
        for (int64_t r = 0; r < n_rows; r++)                                                       \
            for (int64_t j = 0; j < n_columns; j++)                                                \
                x.start[r * x.down + j * x.across] =                                               \
                    finished_##t(to, i + r, j, sums[r * full + j]);                                \
    }

#define BLOCKS(t, T, V)                                                                            \
    /* n_rows, n_vectors, and mostly down or across, are known when this is compiled, so that      \
       the sums are in registers. */                                                               \
    ALWAYS_INLINE void block_##V(const int n_rows, const int n_vectors, int64_t inner, const T *a, \
                                 int64_t down, int64_t across, const T *b, int64_t apart,          \
                                 const Target_##t *to, int64_t top, int64_t n_columns) {           \
        enum { N = sizeof(V) / sizeof(T) };                                                        \
        const int is_whole = HAS_MASKS || n_columns == n_vectors * N;                              \
        const Matrix_##t out = cut_##t(to->out, top, 0), term = cut_##t(to->term, top, 0),         \
                         added = cut_##t(to->added, top, 0), mask = cut_##t(to->mask, top, 0);     \
        V sums[ROWS][2];                                                                           \
        T found[ROWS * 2 * N];                                                                     \
        if (!term.start) {                                                                         \
            EACH_SUM sums[i][v] = V##_all(0);                                                      \
        } else if (term.down == 0) {                                                               \
            EACH_SUM sums[i][v] = V##_load(term.start + v * N);                                    \
        } else if (term.across == 0) {                                                             \
            EACH_SUM sums[i][v] = V##_all(term.start[i * term.down]);                              \
        } else {                                                                                   \
            gather_##t(to, top, n_rows, n_columns, n_vectors * N, found);                          \
            EACH_SUM sums[i][v] = V##_load(found + (i * n_vectors + v) * N);                       \
        }                                                                                          \
        for (int64_t p = 0; p < inner; p++) {                                                      \
            V right[2];                                                                            \
            for (int v = 0; v < n_vectors; v++) right[v] = V##_load(b + p * apart + v * N);        \
            for (int i = 0; i < n_rows; i++) {                                                     \
                const V left = V##_all(a[i * down + p * across]);                                  \
                for (int v = 0; v < n_vectors; v++)                                                \
                    sums[i][v] = V##_fma(left, right[v], sums[i][v]);                              \
            }                                                                                      \
        }                                                                                          \
        if (!is_whole || out.across != 1 || (added.start && added.across != 1) ||                  \
            (mask.start && mask.across != 1)) {                                                    \
            EACH_SUM V##_store(found + (i * n_vectors + v) * N, sums[i][v]);                       \
            scatter_##t(to, top, n_rows, n_columns, n_vectors * N, found);                         \
            return;                                                                                \
        }                                                                                          \
        if (added.start)                                                                           \
            EACH_SUM sums[i][v] = V##_add(                                                         \
                V##_mul(V##_all(to->times),                                                        \
                        V##_some(added.start + i * added.down + v * N, n_columns - v * N)),        \
                sums[i][v]);                                                                       \
        if (to->function == RELU)                                                                  \
            EACH_SUM sums[i][v] = V##_relu(sums[i][v]);                                            \
        else if (to->function == RELU_GRADIENT)                                                    \
            EACH_SUM sums[i][v] = V##_where_positive(                                              \
                V##_some(mask.start + i * mask.down + v * N, n_columns - v * N), sums[i][v]);      \
        EACH_SUM V##_put(out.start + i * out.down + v * N, n_columns - v * N, sums[i][v]);         \
    }                                                                                              \
                                                                                                   \
    /* A panel of so many vectors, for all rows; from one ROWS rows to the next it is so far. */   \
    ALWAYS_INLINE void rows_##V(const int n_vectors, int64_t n, int64_t inner, const T *a,         \
                                int64_t next, int64_t down, int64_t across, const T *b,            \
                                int64_t apart, const Target_##t *to, int64_t n_columns) {          \
        for (int64_t i = 0; i < n; i += ROWS) {                                                    \
            const T *x = a + i / ROWS * next;                                                      \
            switch (n - i) {                                                                       \
                BLOCK(V, 1) BLOCK(V, 2) BLOCK(V, 3) BLOCK(V, 4) BLOCK(V, 5)                        \
            default:                                                                               \
                block_##V(ROWS, n_vectors, inner, x, down, across, b, apart, to, i, n_columns);    \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* The same, with constants for what is most frequent. */                                      \
    static void panel_##V(int n_vectors, int64_t n, int64_t inner, const T *a, int64_t next,       \
                          int64_t down, int64_t across, const T *b, int64_t apart,                 \
                          const Target_##t *to, int64_t n_columns) {                               \
        if (across == 1 && n_vectors == 2)                                                         \
            rows_##V(2, n, inner, a, next, down, 1, b, apart, to, n_columns);                      \
        else if (across == ROWS && down == 1 && n_vectors == 2)                                    \
            rows_##V(2, n, inner, a, next, 1, ROWS, b, apart, to, n_columns);                      \
        else if (n_vectors == 2)                                                                   \
            rows_##V(2, n, inner, a, next, down, across, b, apart, to, n_columns);                 \
        else                                                                                       \
            rows_##V(1, n, inner, a, next, down, across, b, apart, to, n_columns);                 \
    }

#define EACH_SUM                                                                                   \
    for (int i = 0; i < n_rows; i++)                                                               \
        for (int v = 0; v < n_vectors; v++)

#define BLOCK(V, n_rows)                                                                           \
    case n_rows:                                                                                   \
        block_##V(n_rows, n_vectors, inner, x, down, across, b, apart, to, i, n_columns);          \
        break;

#define KERNELS(t, T, V)                                                                           \
    /* Of neighbours, N at least. */                                                               \
    static T dot_of_##t(int64_t n, const T *a, const T *b) {                                       \
        enum { N = sizeof(V) / sizeof(T) };                                                        \
        T lanes[N], sum = 0;                                                                       \
        V sums = V##_all(0);                                                                       \
        int64_t p = 0;                                                                             \
        for (; p + N <= n; p += N) sums = V##_fma(V##_load(a + p), V##_load(b + p), sums);         \
        V##_store(lanes, sums);                                                                    \
        for (int i = 0; i < N; i++) sum += lanes[i];                                               \
        for (; p < n; p++) sum += a[p] * b[p];                                                     \
        return sum;                                                                                \
    }                                                                                              \
                                                                                                   \
    /* Rows of a factor in strips: ROWS of them, column by column. */                              \
    static void cut_strips_##t(T *strips, int64_t n, int64_t inner, const T *a, int64_t down,      \
                               int64_t across) {                                                   \
        for (int64_t i = 0; i < n; i += ROWS, strips += ROWS * inner) {                            \
            const T *from = a + i * down;                                                          \
            if (down == 1 && n - i >= ROWS)                                                        \
                for (int64_t p = 0; p < inner; p++)                                                \
                    memcpy(strips + p * ROWS, from + p * across, ROWS * sizeof(T));                \
            else                                                                                   \
                for (int64_t p = 0; p < inner; p++)                                                \
                    for (int64_t r = 0; r < ROWS && r < n - i; r++)                                \
                        strips[p * ROWS + r] = from[r * down + p * across];                        \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void copy_panel_##t(T *panel, int64_t full, const T *from, int64_t n_rows,              \
                               int64_t n_columns, int64_t down, int64_t across) {                  \
        enum { N = sizeof(V) / sizeof(T), S = TURNED_##t };                                        \
        if (across == 1 && n_columns == 2 * N) {                                                   \
            for (int64_t p = 0; p < n_rows; p++)                                                   \
                memcpy(panel + p * 2 * N, from + p * down, 2 * N * sizeof(T));                     \
            return;                                                                                \
        }                                                                                          \
        if (across == 1 && HAS_MASKS) {                                                            \
            for (int64_t p = 0; p < n_rows; p++)                                                   \
                for (int64_t c = 0; c < full; c += N)                                              \
                    V##_put(panel + p * full + c, full - c,                                        \
                            V##_some(from + p * down + c, n_columns - c));                         \
            return;                                                                                \
        }                                                                                          \
        int64_t done = 0;                                                                          \
        if (down == 1 && n_rows >= S && n_columns >= S) {                                          \
            /* Row by row of the panel; the last squares overlap with those before. */             \
            for (int64_t p = 0; p < n_rows; p += S)                                                \
                for (int64_t c = 0; c < n_columns; c += S) {                                       \
                    const int64_t i = c < n_columns - S ? c : n_columns - S;                       \
                    const int64_t r = p < n_rows - S ? p : n_rows - S;                             \
                    turn_##t(from + i * across + r, across, panel + r * full + i, full);           \
                }                                                                                  \
            done = n_columns;                                                                      \
        }                                                                                          \
        for (int64_t p = 0; p < n_rows; p++) {                                                     \
            for (int64_t c = done; c < n_columns; c++)                                             \
                panel[p * full + c] = from[p * down + c * across];                                 \
            for (int64_t c = n_columns; c < full; c++) panel[p * full + c] = 0;                    \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void panels_##t(int64_t n, int64_t inner, int64_t m, const Target_##t *whole,           \
                           const Matrix_##t *a, const Matrix_##t *b, T *strips) {                  \
        enum { N = sizeof(V) / sizeof(T) };                                                        \
        const int cuts = a->across * (int64_t)sizeof(T) > NEAR_OF_STRIPS &&                        \
                         m > (MANY_PANELS - 1) * 2 * N;                                            \
        /* Rows that are done before the panels are copied again, in equal parts. */               \
        const int64_t most = (cuts ? 1 : 2) * STRIP_BYTES / sizeof(T) / DEEPEST - ROWS;            \
        const int64_t n_parts = (n + most - 1) / most;                                             \
        const int64_t highest = ((n + n_parts - 1) / n_parts + ROWS - 1) / ROWS * ROWS;            \
        T panel[DEEPEST * 2 * N], row[2 * N];                                                      \
        for (int64_t top = 0; top < n; top += highest) {                                           \
            const int64_t high = n - top < highest ? n - top : highest;                            \
            for (int64_t first = 0; first < inner; first += DEEPEST) {                             \
                const int64_t deep = inner - first < DEEPEST ? inner - first : DEEPEST;            \
                Matrix_##t x = cut_##t(*a, top, first);                                            \
                int64_t next = ROWS * x.down;                                                      \
                if (cuts) {                                                                        \
                    cut_strips_##t(strips, high, deep, x.start, x.down, x.across);                 \
                    x = (Matrix_##t){strips, 1, ROWS}, next = ROWS * deep;                         \
                }                                                                                  \
                for (int64_t j = 0; j < m; j += 2 * N) {                                           \
                    const int64_t wide = m - j < 2 * N ? m - j : 2 * N;                            \
                    const int is_narrow = HAS_HALVES && wide <= N / 2;                             \
                    const int64_t full = is_narrow ? N / 2 : wide > N ? 2 * N : N;                 \
                    Matrix_##t y = cut_##t(*b, first, j);                                          \
                    /* Part by part: a copy of the whole would wait for what was just written. */  \
                    Target_##t to = {                                                              \
                        .out = cut_##t(whole->out, top, j),                                        \
                        .term = cut_##t(whole->term, top, j),                                      \
                        .added = cut_##t(first ? whole->out : whole->added, top, j),               \
                        .mask = cut_##t(whole->mask, top, j),                                      \
                        .times = first ? 1 : whole->times,                                         \
                        .function = first + deep < inner ? COPY : whole->function,                 \
                    };                                                                             \
                    if (first) to.term.start = NULL;                                               \
                    if (to.term.start && to.term.down == 0) {                                      \
                        gather_##t(&to, 0, 1, wide, full, row);                                    \
                        to.term = (Matrix_##t){row, 0, 1};                                         \
                    }                                                                              \
                    if (wide < full || y.across != 1 ||                                            \
                        (high >= MANY_ROWS && y.down * (int64_t)sizeof(T) > NEAR_OF_PANELS)) {     \
                        copy_panel_##t(panel, full, y.start, deep, wide, y.down, y.across);        \
                        y.start = panel, y.down = full;                                            \
                    }                                                                              \
                    if (is_narrow)                                                                 \
                        panel_##t##h(1, high, deep, x.start, next, x.down, x.across, y.start,      \
                                     y.down, &to, wide);                                           \
                    else                                                                           \
                        panel_##V(full > N ? 2 : 1, high, deep, x.start, next, x.down, x.across,   \
                                  y.start, y.down, &to, wide);                                     \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* A target (n, m) of a (n, inner) times b (inner, m), with any strides; transposed where that \
       leaves fewer columns of panels empty, or spares copies; the target is turned itself. */     \
    static void own_product_##t(int64_t n, int64_t inner, int64_t m, Target_##t *to, Matrix_##t a, \
                                Matrix_##t b, T *strips) {                                         \
        enum { N = sizeof(V) / sizeof(T) };                                                        \
        if ((m == 1 || n == 1) && a.across == 1 && b.down == 1 && inner >= N) {                    \
            for (int64_t i = 0; i < n; i++)                                                        \
                for (int64_t j = 0; j < m; j++) {                                                  \
                    T sum = dot_of_##t(inner, a.start + i * a.down, b.start + j * b.across);       \
                    if (to->term.start) sum += *cut_##t(to->term, i, j).start;                     \
                    *cut_##t(to->out, i, j).start = finished_##t(to, i, j, sum);                   \
                }                                                                                  \
            return;                                                                                \
        }                                                                                          \
        const int64_t scattered = SCATTERED * n * m / (inner ? inner : 1);                         \
        const int64_t straight = (m + N - 1) / N * n + (b.across == 1 ? 0 : m / COPIED) +          \
                                 (to->out.across == 1 ? 0 : scattered);                            \
        const int64_t turned = (n + N - 1) / N * m + (a.down == 1 ? 0 : n / COPIED) +              \
                               (to->out.down == 1 ? 0 : scattered);                                \
        if (straight < turned || (straight == turned && to->out.across == 1)) {                    \
            panels_##t(n, inner, m, to, &a, &b, strips);                                           \
            return;                                                                                \
        }                                                                                          \
        to->out = turned_##t(to->out), to->term = turned_##t(to->term);                            \
        to->added = turned_##t(to->added), to->mask = turned_##t(to->mask);                        \
        const Matrix_##t first = turned_##t(b), second = turned_##t(a);                            \
        panels_##t(m, inner, n, to, &first, &second, strips);                                      \
    }

MATRICES(f32, float)
MATRICES(f64, double)
BLOCKS(f32, float, f32x)
BLOCKS(f64, double, f64x)
#if defined(f32h_load)
#define HAS_HALVES 1
BLOCKS(f32, float, f32h)
BLOCKS(f64, double, f64h)
#else
#define HAS_HALVES 0
#define panel_f32h panel_f32x
#define panel_f64h panel_f64x
#endif
KERNELS(f32, float, f32x)
KERNELS(f64, double, f64x)

#endif
