/* Products of matrices of small and middle size, for which BLAS prepares more than it has to.

   The sums of ROWS rows and one or two vectors of columns stay in registers. The left factor is
   read where it lies if its rows have no gaps, or if few panels need it, else from strips of ROWS
   rows; the right one in panels of so many vectors, from a copy where it lies otherwise. */

#ifndef SKOPT_DL_PRODUCTS_H
#define SKOPT_DL_PRODUCTS_H

#include <string.h>

#include "vectors.h"

#define ROWS 6
/* Rows of a panel, and columns of a strip, that are done at a time: a panel fits the first-level
   cache. */
#define DEEPEST 256
/* Bytes of strips that are made at a time: they stay in the second-level cache. */
#define STRIP_BYTES (256 * 1024)
/* Panels from which strips are worth their copy, and rows from which panels are. */
#define MANY_PANELS 3
#define MANY_ROWS (8 * ROWS)
/* What an element of a panel takes to be copied from a column, in multiplications of vectors; and
   one of the result to be written where its neighbours are not neighbours in memory. */
#define COPIED 1
#define SCATTERED 2

#define KERNELS(t, T, V)                                                                           \
    /* n_rows, n_vectors, and mostly down or across, are known when this is compiled, so that      \
       the sums are in registers. */                                                               \
    ALWAYS_INLINE void block_##t(const int n_rows, const int n_vectors, int64_t inner, const T *a, \
                                 int64_t down, int64_t across, const T *b, int64_t apart, T *out,  \
                                 int64_t out_down, int64_t out_across, int64_t n_columns,          \
                                 int is_first) {                                                   \
        enum { N = sizeof(V) / sizeof(T) };                                                        \
        V sums[ROWS][2];                                                                           \
        for (int i = 0; i < n_rows; i++)                                                           \
            for (int v = 0; v < n_vectors; v++) sums[i][v] = V##_all(0);                           \
        for (int64_t p = 0; p < inner; p++) {                                                      \
            V right[2];                                                                            \
            for (int v = 0; v < n_vectors; v++) right[v] = V##_load(b + p * apart + v * N);        \
            for (int i = 0; i < n_rows; i++) {                                                     \
                const V left = V##_all(a[i * down + p * across]);                                  \
                for (int v = 0; v < n_vectors; v++)                                                \
                    sums[i][v] = V##_fma(left, right[v], sums[i][v]);                              \
            }                                                                                      \
        }                                                                                          \
        if (out_across == 1 && n_columns == n_vectors * N) {                                       \
            for (int i = 0; i < n_rows; i++)                                                       \
                for (int v = 0; v < n_vectors; v++) {                                              \
                    T *o = out + i * out_down + v * N;                                             \
                    V##_store(o, is_first ? sums[i][v] : V##_add(V##_load(o), sums[i][v]));        \
                }                                                                                  \
            return;                                                                                \
        }                                                                                          \
        for (int i = 0; i < n_rows; i++) {                                                         \
            T *row = out + i * out_down, found[2 * N] = {0};                                       \
            for (int v = 0; v < n_vectors; v++) V##_store(found + v * N, sums[i][v]);              \
            if (is_first)                                                                          \
                for (int64_t j = 0; j < n_columns; j++) row[j * out_across] = found[j];            \
            else                                                                                   \
                for (int64_t j = 0; j < n_columns; j++) row[j * out_across] += found[j];           \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
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
    /* A panel of so many vectors, for all rows; from one ROWS rows to the next it is so far. */   \
    ALWAYS_INLINE void rows_##t(const int n_vectors, int64_t n, int64_t inner, const T *a,         \
                                int64_t next, int64_t down, int64_t across, const T *b,            \
                                int64_t apart, T *out, int64_t out_down, int64_t out_across,       \
                                int64_t n_columns, int is_first) {                                 \
        for (int64_t i = 0; i < n; i += ROWS) {                                                    \
            const T *x = a + i / ROWS * next;                                                      \
            T *o = out + i * out_down;                                                             \
            switch (n - i) {                                                                       \
                BLOCK(t, 1) BLOCK(t, 2) BLOCK(t, 3) BLOCK(t, 4) BLOCK(t, 5)                        \
            default:                                                                               \
                block_##t(ROWS, n_vectors, inner, x, down, across, b, apart, o, out_down,          \
                          out_across, n_columns, is_first);                                        \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* The same, with constants for what is most frequent. */                                      \
    static void panel_##t(int n_vectors, int64_t n, int64_t inner, const T *a, int64_t next,       \
                          int64_t down, int64_t across, const T *b, T *out, int64_t apart,         \
                          int64_t out_down, int64_t out_across, int64_t n_columns, int is_first) { \
        enum { N = sizeof(V) / sizeof(T) };                                                        \
        if (across == 1 && n_vectors == 2)                                                         \
            rows_##t(2, n, inner, a, next, down, 1, b, apart, out, out_down, out_across,           \
                     n_columns, is_first);                                                         \
        else if (across == ROWS && down == 1 && n_vectors == 2)                                    \
            rows_##t(2, n, inner, a, next, 1, ROWS, b, apart, out, out_down, out_across,           \
                     n_columns, is_first);                                                         \
        else if (n_vectors == 2)                                                                   \
            rows_##t(2, n, inner, a, next, down, across, b, apart, out, out_down, out_across,      \
                     n_columns, is_first);                                                         \
        else                                                                                       \
            rows_##t(1, n, inner, a, next, down, across, b, apart, out, out_down, out_across,      \
                     n_columns, is_first);                                                         \
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
        enum { N = sizeof(V) / sizeof(T) };                                                        \
        if (across == 1 && n_columns == 2 * N) {                                                   \
            for (int64_t p = 0; p < n_rows; p++)                                                   \
                memcpy(panel + p * 2 * N, from + p * down, 2 * N * sizeof(T));                     \
            return;                                                                                \
        }                                                                                          \
        int64_t i = 0;                                                                             \
        if (down == 1)                                                                             \
            for (; i + TURNED_##t <= n_columns; i += TURNED_##t) {                                 \
                int64_t p = 0;                                                                     \
                for (; p + TURNED_##t <= n_rows; p += TURNED_##t)                                  \
                    turn_##t(from + i * across + p, across, panel + p * full + i, full);           \
                for (; p < n_rows; p++)                                                            \
                    for (int64_t c = i; c < i + TURNED_##t; c++)                                   \
                        panel[p * full + c] = from[p + c * across];                                \
            }                                                                                      \
        for (int64_t p = 0; p < n_rows; p++) {                                                     \
            for (int64_t c = i; c < n_columns; c++)                                                \
                panel[p * full + c] = from[p * down + c * across];                                 \
            for (int64_t c = n_columns; c < full; c++) panel[p * full + c] = 0;                    \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void panels_##t(int64_t n, int64_t inner, int64_t m, T *out, int64_t out_down,          \
                           int64_t out_across, const T *a, int64_t down, int64_t across,           \
                           const T *b, int64_t b_down, int64_t b_across, int adds, T *strips) {    \
        enum { N = sizeof(V) / sizeof(T) };                                                        \
        const int cuts = across != 1 && m > (MANY_PANELS - 1) * 2 * N;                             \
        /* Rows that are done before the panels are copied again, in equal parts. */               \
        const int64_t most = (cuts ? 1 : 2) * STRIP_BYTES / sizeof(T) / DEEPEST - ROWS;            \
        const int64_t n_parts = (n + most - 1) / most;                                             \
        const int64_t highest = ((n + n_parts - 1) / n_parts + ROWS - 1) / ROWS * ROWS;            \
        T panel[DEEPEST * 2 * N];                                                                  \
        for (int64_t top = 0; top < n; top += highest) {                                           \
            const int64_t high = n - top < highest ? n - top : highest;                            \
            for (int64_t first = 0; first < inner; first += DEEPEST) {                             \
                const int64_t deep = inner - first < DEEPEST ? inner - first : DEEPEST;            \
                const T *x = a + top * down + first * across;                                      \
                int64_t next = ROWS * down, x_down = down, x_across = across;                      \
                if (cuts) {                                                                        \
                    cut_strips_##t(strips, high, deep, x, down, across);                           \
                    x = strips, next = ROWS * deep, x_down = 1, x_across = ROWS;                   \
                }                                                                                  \
                for (int64_t j = 0; j < m; j += 2 * N) {                                           \
                    const int64_t wide = m - j < 2 * N ? m - j : 2 * N;                            \
                    const int64_t full = wide > N ? 2 * N : N;                                     \
                    const T *y = b + first * b_down + j * b_across;                                \
                    int64_t apart = b_down;                                                        \
                    if (wide < full || b_across != 1 || high >= MANY_ROWS) {                       \
                        copy_panel_##t(panel, full, y, deep, wide, b_down, b_across);              \
                        y = panel, apart = full;                                                   \
                    }                                                                              \
                    panel_##t(full > N ? 2 : 1, high, deep, x, next, x_down, x_across, y,          \
                              out + top * out_down + j * out_across, apart, out_down, out_across,  \
                              wide, !first && !adds);                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* out (n, m) of, or plus, a (n, inner) times b (inner, m), with any strides; transposed where \
       that leaves fewer columns of panels empty, or spares copies. */                             \
    static void own_product_##t(int64_t n, int64_t inner, int64_t m, T *out, const int64_t *so,    \
                                const T *a, const int64_t *sa, const T *b, const int64_t *sb,      \
                                int adds, T *strips) {                                             \
        enum { N = sizeof(V) / sizeof(T), S = sizeof(T) };                                         \
        if ((m == 1 || n == 1) && sa[1] == S && sb[0] == S && inner >= N) {                        \
            for (int64_t i = 0; i < n; i++)                                                        \
                for (int64_t j = 0; j < m; j++) {                                                  \
                    T *o = out + i * (so[0] / S) + j * (so[1] / S);                                \
                    const T found = dot_of_##t(inner, a + i * (sa[0] / S), b + j * (sb[1] / S));   \
                    *o = adds ? *o + found : found;                                                \
                }                                                                                  \
            return;                                                                                \
        }                                                                                          \
        const int64_t scattered = SCATTERED * n * m / (inner ? inner : 1);                         \
        const int64_t straight = (m + N - 1) / N * n + (sb[1] == S ? 0 : COPIED * m) +             \
                                 (so[1] == S ? 0 : scattered);                                     \
        const int64_t turned = (n + N - 1) / N * m + (sa[0] == S ? 0 : COPIED * n) +               \
                               (so[0] == S ? 0 : scattered);                                       \
        if (straight < turned || (straight == turned && so[1] == S))                               \
            panels_##t(n, inner, m, out, so[0] / S, so[1] / S, a, sa[0] / S, sa[1] / S, b,         \
                       sb[0] / S, sb[1] / S, adds, strips);                                        \
        else                                                                                       \
            panels_##t(m, inner, n, out, so[1] / S, so[0] / S, b, sb[1] / S, sb[0] / S, a,         \
                       sa[1] / S, sa[0] / S, adds, strips);                                        \
    }

#define BLOCK(t, n_rows)                                                                           \
    case n_rows:                                                                                   \
        block_##t(n_rows, n_vectors, inner, x, down, across, b, apart, o, out_down, out_across,    \
                  n_columns, is_first);                                                            \
        break;

KERNELS(f32, float, f32x)
KERNELS(f64, double, f64x)

#endif
