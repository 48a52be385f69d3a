/* Products of small matrices, which BLAS takes longer to prepare than to compute.

   The sums of ROWS rows and one or two vectors of columns stay in registers. The right factor is
   read in panels of so many columns: where it lies so, else from a copy, with zeros where columns
   end. */

#ifndef SKOPT_DL_PRODUCTS_H
#define SKOPT_DL_PRODUCTS_H

#include <string.h>

#include "vectors.h"

#define ROWS 6
/* Rows of a panel that are copied at a time. */
#define DEEPEST 256
/* What an element of a panel takes to be copied from a column, in multiplications of vectors. */
#define COPIED 3

#define KERNELS(t, T, V)                                                                           \
    /* n_rows and n_vectors are known when this is compiled, so that the sums are in registers. */ \
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
                for (int v = 0; v < n_vectors; v++) sums[i][v] = V##_fma(left, right[v], sums[i][v]); \
            }                                                                                      \
        }                                                                                          \
        for (int i = 0; i < n_rows; i++) {                                                         \
            T *row = out + i * out_down, found[2 * N] = {0};                                       \
            if (out_across == 1 && n_columns == n_vectors * N) {                                   \
                for (int v = 0; v < n_vectors; v++) {                                              \
                    const V before = is_first ? V##_all(0) : V##_load(row + v * N);                \
                    V##_store(row + v * N, V##_add(before, sums[i][v]));                           \
                }                                                                                  \
                continue;                                                                          \
            }                                                                                      \
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
    /* A panel of so many vectors, for all rows. */                                                \
    ALWAYS_INLINE void rows_##t(const int n_vectors, int64_t n, int64_t inner, const T *a,         \
                                int64_t down, int64_t across, const T *b, int64_t apart, T *out,   \
                                int64_t out_down, int64_t out_across, int64_t n_columns,           \
                                int is_first) {                                                    \
        for (int64_t i = 0; i < n; i += ROWS) {                                                    \
            const T *x = a + i * down;                                                             \
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
    static void panels_##t(int64_t n, int64_t inner, int64_t m, T *out, int64_t out_down,          \
                           int64_t out_across, const T *a, int64_t down, int64_t across,           \
                           const T *b, int64_t b_down, int64_t b_across, int adds) {               \
        enum { N = sizeof(V) / sizeof(T) };                                                        \
        T panel[DEEPEST * 2 * N];                                                                  \
        for (int64_t first = 0; first < inner; first += DEEPEST) {                                 \
            const int64_t deep = inner - first < DEEPEST ? inner - first : DEEPEST;                \
            const T *x = a + first * across;                                                       \
            for (int64_t j = 0; j < m; j += 2 * N) {                                               \
                const int64_t wide = m - j < 2 * N ? m - j : 2 * N, full = wide > N ? 2 * N : N;   \
                const T *from = b + first * b_down + j * b_across;                                 \
                int64_t apart = b_down;                                                            \
                if (wide < full || b_across != 1) {                                                \
                    copy_panel_##t(panel, full, from, deep, wide, b_down, b_across);               \
                    from = panel, apart = full;                                                    \
                }                                                                                  \
                if (full > N)                                                                      \
                    rows_##t(2, n, deep, x, down, across, from, apart, out + j * out_across,       \
                             out_down, out_across, wide, !first && !adds);                                  \
                else                                                                               \
                    rows_##t(1, n, deep, x, down, across, from, apart, out + j * out_across,       \
                             out_down, out_across, wide, !first && !adds);                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* out (n, m) of, or plus, a (n, inner) times b (inner, m), with any strides; transposed where that leaves  \
       fewer columns of panels empty, or spares copies. */                                         \
    static void small_product_##t(int64_t n, int64_t inner, int64_t m, T *out, const int64_t *so,  \
                                  const T *a, const int64_t *sa, const T *b, const int64_t *sb,    \
                                  int adds) {                                                      \
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
        const int64_t straight = (m + N - 1) / N * n + (sb[1] == S ? 0 : COPIED * m);              \
        const int64_t turned = (n + N - 1) / N * m + (sa[0] == S ? 0 : COPIED * n);                \
        if (straight < turned || (straight == turned && so[1] == S))                               \
            panels_##t(n, inner, m, out, so[0] / S, so[1] / S, a, sa[0] / S, sa[1] / S, b,         \
                       sb[0] / S, sb[1] / S, adds);                                                      \
        else                                                                                       \
            panels_##t(m, inner, n, out, so[1] / S, so[0] / S, b, sb[1] / S, sb[0] / S, a,         \
                       sa[1] / S, sa[0] / S, adds);                                                      \
    }

#define BLOCK(t, n_rows)                                                                           \
    case n_rows:                                                                                   \
        block_##t(n_rows, n_vectors, inner, x, down, across, b, apart, o, out_down, out_across,    \
                  n_columns, is_first);                                                            \
        break;

#define COPY_PANEL(t, T)                                                                           \
    static void copy_panel_##t(T *panel, int64_t full, const T *from, int64_t n_rows,              \
                               int64_t n_columns, int64_t down, int64_t across) {                  \
        for (int64_t p = 0; p < n_rows; p++) {                                                     \
            T *row = panel + p * full;                                                             \
            if (across == 1)                                                                       \
                memcpy(row, from + p * down, (size_t)n_columns * sizeof(T));                       \
            else                                                                                   \
                for (int64_t i = 0; i < n_columns; i++) row[i] = from[p * down + i * across];      \
            for (int64_t i = n_columns; i < full; i++) row[i] = 0;                                 \
        }                                                                                          \
    }

COPY_PANEL(f32, float)
COPY_PANEL(f64, double)
KERNELS(f32, float, f32x)
KERNELS(f64, double, f64x)

#endif
