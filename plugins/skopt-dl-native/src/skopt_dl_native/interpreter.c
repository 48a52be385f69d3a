/* The interpreter, compiled once for each set of vector instructions: INTERPRETER names it. */

#include "interpreter.h"
#include "functions.h"
#include "products.h"

#include <math.h>
#include <string.h>

/* Strips of products are made where the slots of runs are. */
_Static_assert(STRIP_BYTES <= TILE_BYTES * N_SLOTS, "strips need more than the slots have");

#if defined(_MSC_VER)
#define INDEPENDENT __pragma(loop(ivdep))
#elif defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

typedef unsigned char boolean;

static const int64_t size_of[N_DTYPES] = {4, 8, 1, 8};

/* An array of rows: bytes from one to the next, and from one column to the next. Without gaps between
   columns, or with one value for all; copies take any other. */
typedef struct { char *start; int64_t row, column; } Rows;

/* ---- One function of each element ---- */

typedef void (*Function)(int64_t n_rows, int64_t n_columns, const Rows *out, const Rows *a,
                         const Rows *b, const Rows *c);

#define EACH_ROW for (int64_t r = 0; r < n_rows; r++)
#define EACH_COLUMN INDEPENDENT for (int64_t j = 0; j < n_columns; j++)
#define AT(T, x) ((T *)(x->start + r * x->row))

#define UNARY(name, T, U, value)                                                                   \
    static void name(int64_t n_rows, int64_t n_columns, const Rows *out, const Rows *a,            \
                     const Rows *b, const Rows *c) {                                               \
        (void)b, (void)c;                                                                          \
        EACH_ROW {                                                                                 \
            U *o = AT(U, out);                                                                     \
            const T *p = AT(const T, a);                                                           \
            if (a->column) EACH_COLUMN { const T x = p[j]; o[j] = (U)(value); }                    \
            else { const T x = *p; const U z = (U)(value); EACH_COLUMN o[j] = z; }                 \
        }                                                                                          \
    }

#define BINARY(name, T, U, value)                                                                  \
    static void name(int64_t n_rows, int64_t n_columns, const Rows *out, const Rows *a,            \
                     const Rows *b, const Rows *c) {                                               \
        (void)c;                                                                                   \
        EACH_ROW {                                                                                 \
            U *o = AT(U, out);                                                                     \
            const T *p = AT(const T, a), *q = AT(const T, b);                                      \
            if (a->column && b->column)                                                            \
                EACH_COLUMN { const T x = p[j], y = q[j]; o[j] = (U)(value); }                     \
            else if (a->column) { const T y = *q; EACH_COLUMN { const T x = p[j]; o[j] = (U)(value); } } \
            else if (b->column) { const T x = *p; EACH_COLUMN { const T y = q[j]; o[j] = (U)(value); } } \
            else { const T x = *p, y = *q; const U z = (U)(value); EACH_COLUMN o[j] = z; }         \
        }                                                                                          \
    }

#define TERNARY(name, C, T, value)                                                                 \
    static void name(int64_t n_rows, int64_t n_columns, const Rows *out, const Rows *a,            \
                     const Rows *b, const Rows *c) {                                               \
        const int64_t i = a->column != 0, k = b->column != 0, l = c->column != 0;                                 \
        EACH_ROW {                                                                                 \
            T *o = AT(T, out);                                                                     \
            const C *p = AT(const C, a);                                                           \
            const T *q = AT(const T, b), *s = AT(const T, c);                                      \
            if (i && k && l)                                                                       \
                EACH_COLUMN { const C x = p[j]; const T y = q[j], z = s[j]; o[j] = (value); }      \
            else if (i && !k && l) {                                                               \
                const T y = *q;                                                                    \
                EACH_COLUMN { const C x = p[j]; const T z = s[j]; o[j] = (value); }                \
            } else if (i && !k && !l) {                                                            \
                const T y = *q, z = *s;                                                            \
                EACH_COLUMN { const C x = p[j]; o[j] = (value); }                                  \
            } else                                                                                 \
                EACH_COLUMN {                                                                      \
                    const C x = p[j * i];                                                          \
                    const T y = q[j * k], z = s[j * l];                                            \
                    o[j] = (value);                                                                \
                }                                                                                  \
        }                                                                                          \
    }

/* What is larger is nan where one of the two is. */
#define FLOATS(t, T, F)                                                                            \
    UNARY(negative_##t, T, T, -x)                                                                  \
    UNARY(abs_##t, T, T, F(fabs)(x))                                                               \
    UNARY(sign_##t, T, T, x > 0 ? (T)1 : x < 0 ? (T)-1 : x)                                        \
    UNARY(sqrt_##t, T, T, F(sqrt)(x))                                                              \
    UNARY(square_##t, T, T, x *x)                                                                  \
    UNARY(reciprocal_##t, T, T, (T)1 / x)                                                          \
    UNARY(exp_each_##t, T, T, exp_##t(x))                                                          \
    UNARY(expm1_each_##t, T, T, expm1_##t(x))                                                      \
    UNARY(log_each_##t, T, T, log_##t(x))                                                          \
    UNARY(log1p_each_##t, T, T, log1p_##t(x))                                                      \
    UNARY(tanh_each_##t, T, T, tanh_##t(x))                                                        \
    UNARY(erf_each_##t, T, T, erf_##t(x))                                                          \
    UNARY(floor_##t, T, T, F(floor)(x))                                                            \
    UNARY(relu_##t, T, T, x <= 0 ? (T)0 : x)                                                       \
    UNARY(isfinite_##t, T, boolean, x - x == 0)                                                    \
    BINARY(divide_##t, T, T, x / y)                                                                \
    BINARY(power_each_##t, T, T, pow_##t(x, y))                                                      \
    BINARY(larger_##t, T, T, x >= y || x != x ? x : y)                                             \
    BINARY(smaller_##t, T, T, x <= y || x != x ? x : y)                                            \
    BINARY(relu_gradient_##t, T, T, y > 0 ? x : (T)0)                                              \
    TERNARY(clip_##t, T, T, (x < y ? y : x) > z ? z : (x < y ? y : x))                             \
    TERNARY(multiply_add_##t, T, T, x * y + z)

#define NUMBERS(t, T)                                                                              \
    BINARY(add_##t, T, T, x + y)                                                                   \
    BINARY(subtract_##t, T, T, x - y)                                                              \
    BINARY(multiply_##t, T, T, x *y)                                                               \
    BINARY(greater_##t, T, boolean, x > y)                                                         \
    BINARY(greater_equal_##t, T, boolean, x >= y)                                                  \
    BINARY(less_##t, T, boolean, x < y)                                                            \
    BINARY(less_equal_##t, T, boolean, x <= y)

#define ALL(t, T)                                                                                  \
    BINARY(equal_##t, T, boolean, x == y)                                                          \
    BINARY(not_equal_##t, T, boolean, x != y)                                                      \
    TERNARY(where_##t, boolean, T, x ? y : z)

#define SINGLE(name) name##f
#define DOUBLE(name) name

FLOATS(f32, float, SINGLE)
FLOATS(f64, double, DOUBLE)
NUMBERS(f32, float)
NUMBERS(f64, double)
NUMBERS(i64, int64_t)
ALL(f32, float)
ALL(f64, double)
ALL(i64, int64_t)
ALL(bool, boolean)
UNARY(negative_i64, int64_t, int64_t, -x)
UNARY(abs_i64, int64_t, int64_t, x < 0 ? -x : x)
UNARY(square_i64, int64_t, int64_t, x *x)
BINARY(larger_i64, int64_t, int64_t, x >= y ? x : y)
BINARY(smaller_i64, int64_t, int64_t, x <= y ? x : y)
UNARY(logical_not_bool, boolean, boolean, !x)
BINARY(logical_and_bool, boolean, boolean, (x != 0) & (y != 0))
BINARY(logical_or_bool, boolean, boolean, (x | y) != 0)

/* Copies are the only ones with elements at any distance, and of two dtypes. */
#define COPY_OF(name, T, U, value)                                                                 \
    static void name(int64_t n_rows, int64_t n_columns, const Rows *out, const Rows *a) {          \
        if (out->column == sizeof(U) && a->column == sizeof(T)) {                                  \
            EACH_ROW {                                                                             \
                U *o = AT(U, out);                                                                 \
                const T *p = AT(const T, a);                                                       \
                EACH_COLUMN { const T x = p[j]; o[j] = (U)(value); }                               \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        if (out->column == sizeof(U) && a->column == 0) {                                          \
            EACH_ROW {                                                                             \
                U *o = AT(U, out);                                                                 \
                const T x = *AT(const T, a);                                                       \
                EACH_COLUMN o[j] = (U)(value);                                                     \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        EACH_ROW {                                                                                 \
            char *o = out->start + r * out->row;                                                   \
            const char *p = a->start + r * a->row;                                                 \
            for (int64_t j = 0; j < n_columns; j++) {                                              \
                const T x = *(const T *)(p + j * a->column);                                       \
                *(U *)(o + j * out->column) = (U)(value);                                          \
            }                                                                                      \
        }                                                                                          \
    }

#define COPIES_FROM(t, T)                                                                          \
    COPY_OF(copy_##t##_f32, T, float, x)                                                           \
    COPY_OF(copy_##t##_f64, T, double, x)                                                          \
    COPY_OF(copy_##t##_bool, T, boolean, x != 0)                                                   \
    COPY_OF(copy_##t##_i64, T, int64_t, x)

COPIES_FROM(f32, float)
COPIES_FROM(f64, double)
COPIES_FROM(bool, boolean)
COPIES_FROM(i64, int64_t)

typedef void (*Copy)(int64_t, int64_t, const Rows *, const Rows *);

#define COPY_ROW(t) {copy_##t##_f32, copy_##t##_f64, copy_##t##_bool, copy_##t##_i64}
static const Copy copies[N_DTYPES][N_DTYPES] = {
    COPY_ROW(f32), COPY_ROW(f64), COPY_ROW(bool), COPY_ROW(i64)};

#define BOTH(name) {name##_f32, name##_f64, NULL, NULL}
#define WITH_INTEGERS(name) {name##_f32, name##_f64, NULL, name##_i64}
#define EVERY(name) {name##_f32, name##_f64, name##_bool, name##_i64}
#define OF_BOOL(name) {NULL, NULL, name##_bool, NULL}

static const Function functions[N_FUNCTIONS][N_DTYPES] = {
    [NEGATIVE] = WITH_INTEGERS(negative),
    [ABS] = WITH_INTEGERS(abs),
    [SIGN] = BOTH(sign),
    [SQRT] = BOTH(sqrt),
    [SQUARE] = WITH_INTEGERS(square),
    [RECIPROCAL] = BOTH(reciprocal),
    [EXP] = BOTH(exp_each),
    [EXPM1] = BOTH(expm1_each),
    [LOG] = BOTH(log_each),
    [LOG1P] = BOTH(log1p_each),
    [TANH] = BOTH(tanh_each),
    [ERF] = BOTH(erf_each),
    [FLOOR] = BOTH(floor),
    [RELU] = BOTH(relu),
    [ISFINITE] = BOTH(isfinite),
    [LOGICAL_NOT] = OF_BOOL(logical_not),
    [ADD] = WITH_INTEGERS(add),
    [SUBTRACT] = WITH_INTEGERS(subtract),
    [MULTIPLY] = WITH_INTEGERS(multiply),
    [DIVIDE] = BOTH(divide),
    [POWER] = BOTH(power_each),
    [LARGER] = WITH_INTEGERS(larger),
    [SMALLER] = WITH_INTEGERS(smaller),
    [GREATER] = WITH_INTEGERS(greater),
    [GREATER_EQUAL] = WITH_INTEGERS(greater_equal),
    [LESS] = WITH_INTEGERS(less),
    [LESS_EQUAL] = WITH_INTEGERS(less_equal),
    [EQUAL] = EVERY(equal),
    [NOT_EQUAL] = EVERY(not_equal),
    [LOGICAL_AND] = OF_BOOL(logical_and),
    [LOGICAL_OR] = OF_BOOL(logical_or),
    [RELU_GRADIENT] = BOTH(relu_gradient),
    [WHERE] = EVERY(where),
    [CLIP] = BOTH(clip),
    [MULTIPLY_ADD] = BOTH(multiply_add),
};

/* ---- Operands ---- */

typedef struct { char *start; const int64_t *strides; } Operand;

static inline char *beginning(const int64_t *words, const Place *places, int64_t k, char *scratch) {
    if (words[0] == 0) return scratch + words[1];
    const Place *place = places + words[0];
    return place->base + words[1] + words[2] * (place->map ? place->map[k] : k);
}

/* Read an operand of n axes; returns what comes after it. */
static inline const int64_t *operand(const int64_t *words, int64_t n, const Place *places,
                                     int64_t k, char *scratch, Operand *found) {
    found->start = beginning(words, places, k, scratch);
    found->strides = words + 3;
    return words + 3 + n;
}

/* The next of all places of some axes, the last first; 0 after the last place. */
static inline int advance(int64_t n, const int64_t *lengths, int64_t *place) {
    for (int64_t axis = n - 1; axis >= 0; axis--) {
        if (++place[axis] < lengths[axis]) return 1;
        place[axis] = 0;
    }
    return 0;
}

static inline int64_t distance(int64_t n, const int64_t *place, const int64_t *strides) {
    int64_t sum = 0;
    for (int64_t axis = 0; axis < n; axis++) sum += place[axis] * strides[axis];
    return sum;
}

/* ---- Runs of functions of each element ---- */

static inline int without_gaps(const Rows *x, int64_t n_columns, int64_t size) {
    return x->column ? x->column == size && x->row == n_columns * size : x->row == 0;
}

static inline void step(const int64_t *words, const int64_t *dtypes, const Rows *rows,
                        int64_t n_rows, int64_t n_columns) {
    const Rows *found[4];
    int one = n_rows > 1;
    for (int i = 0; i < 4; i++) {
        found[i] = rows + words[2 + i];
        one = one && without_gaps(found[i], n_columns, size_of[dtypes[words[2 + i]]]);
    }
    if (one) {
        n_columns *= n_rows;
        n_rows = 1;
    }
    if (words[0] == COPY)
        copies[words[1]][dtypes[words[2]]](n_rows, n_columns, found[0], found[1]);
    else
        functions[words[0]][words[1]](n_rows, n_columns, found[0], found[1], found[2], found[3]);
}

static void run_steps(const int64_t *words, const Place *places, int64_t k, char *scratch,
                      char *slots) {
    const int64_t n_axes = words[0], *lengths = words + 1, *rest = lengths + n_axes;
    const int64_t n_registers = rest[0], n_steps = rest[2], n_elements = rest[3];
    const int64_t n_rows = lengths[n_axes - 2], n_columns = lengths[n_axes - 1];
    const int64_t width = n_columns < n_elements ? n_columns : n_elements;
    const int64_t height = width < n_elements ? n_elements / width : 1;
    int64_t dtypes[MAX_REGISTERS], place[MAX_AXES] = {0};
    const int64_t *strides[MAX_REGISTERS];
    Rows whole[MAX_REGISTERS], rows[MAX_REGISTERS];
    const int64_t *next = rest + 4;
    for (int64_t i = 0; i < n_registers; i++, next += 5 + n_axes) {
        Rows *each = whole + i;
        dtypes[i] = next[1];
        strides[i] = NULL;
        if (next[0] == NUMBER) {
            *each = (Rows){(char *)(next + 2), 0, 0};
        } else if (next[0] == SLOT) {
            const int64_t size = size_of[next[1]];
            *each = (Rows){slots + next[2] * TILE_BYTES, width * size, size};
        } else {
            strides[i] = next + 5;
            each->start = beginning(next + 2, places, k, scratch);
            each->row = strides[i][n_axes - 2];
            each->column = strides[i][n_axes - 1];
        }
        rows[i] = *each;
    }
    do {
        for (int64_t top = 0; top < n_rows; top += height) {
            const int64_t high = n_rows - top < height ? n_rows - top : height;
            for (int64_t left = 0; left < n_columns; left += width) {
                const int64_t wide = n_columns - left < width ? n_columns - left : width;
                for (int64_t i = 0; i < n_registers; i++) {
                    if (strides[i])
                        rows[i].start = whole[i].start + distance(n_axes - 2, place, strides[i]) +
                                        top * whole[i].row + left * whole[i].column;
                    else
                        rows[i].row = wide * whole[i].column;
                }
                for (int64_t i = 0; i < n_steps; i++)
                    step(next + 6 * i, dtypes, rows, high, wide);
            }
        }
    } while (advance(n_axes - 2, lengths, place));
}

/* ---- Reductions ---- */

/* Sums keep LANES partial sums, which one vector instruction adds to, and begin anew now and then,
   so that errors grow as slowly as those of small sums. */
#define LANES 16
#define PIECE 2048

#define FOLD(name, T, start, value, last)                                                          \
    static T name(const T *x, const T *y, int64_t n) {                                             \
        T lanes[LANES];                                                                            \
        int64_t j = 0;                                                                             \
        (void)y;                                                                                   \
        for (int i = 0; i < LANES; i++) lanes[i] = start;                                          \
        for (; j + LANES <= n; j += LANES)                                                         \
            for (int i = 0; i < LANES; i++) {                                                      \
                const T p = lanes[i], q = value;                                                   \
                lanes[i] = last;                                                                   \
            }                                                                                      \
        for (int i = 0; j + i < n; i++) {                                                          \
            const T p = lanes[i], q = value;                                                       \
            lanes[i] = last;                                                                       \
        }                                                                                          \
        for (int half = LANES / 2; half; half /= 2)                                                \
            for (int i = 0; i < half; i++) {                                                       \
                const T p = lanes[i], q = lanes[i + half];                                         \
                lanes[i] = last;                                                                   \
            }                                                                                      \
        return lanes[0];                                                                           \
    }

#define PLUS(p, q) (p) + (q)
#define MORE(p, q) (p) >= (q) || (p) != (p) ? (p) : (q)
#define LESSER(p, q) (p) <= (q) || (p) != (p) ? (p) : (q)

#define REDUCTIONS(t, T)                                                                           \
    FOLD(fold_sum_##t, T, 0, x[j + i], PLUS(p, q))                                                      \
    FOLD(fold_dot_##t, T, 0, x[j + i] * y[j + i], PLUS(p, q))                                           \
    FOLD(fold_max_##t, T, x[0], x[j + i], MORE(p, q))                                                   \
    FOLD(fold_min_##t, T, x[0], x[j + i], LESSER(p, q))                                                 \
                                                                                                   \
    static inline T combine_##t(int64_t kind, T p, T q) {                                          \
        return kind == MAXIMUM ? (MORE(p, q)) : kind == MINIMUM ? (LESSER(p, q)) : p + q;          \
    }                                                                                              \
                                                                                                   \
    /* Of neighbours. */                                                                           \
    static T fold_##t(int64_t kind, const T *x, const T *y, int64_t n) {                           \
        T total = 0;                                                                               \
        if (kind == MAXIMUM) return fold_max_##t(x, y, n);                                              \
        if (kind == MINIMUM) return fold_min_##t(x, y, n);                                              \
        for (int64_t j = 0; j < n; j += PIECE) {                                                   \
            const int64_t part = n - j < PIECE ? n - j : PIECE;                                    \
            total += kind == SUM ? fold_sum_##t(x + j, y, part) : fold_dot_##t(x + j, y + j, part);          \
        }                                                                                          \
        return total;                                                                              \
    }                                                                                              \
                                                                                                   \
    /* Of rows, element by element. */                                                             \
    static void add_rows_##t(int64_t kind, T *restrict out, const T *x, const T *y, int64_t n,     \
                             int is_first) {                                                       \
        if (kind == DOT) {                                                                         \
            if (is_first) for (int64_t j = 0; j < n; j++) out[j] = x[j] * y[j];                    \
            else for (int64_t j = 0; j < n; j++) out[j] += x[j] * y[j];                            \
        } else if (is_first) {                                                                     \
            for (int64_t j = 0; j < n; j++) out[j] = x[j];                                         \
        } else if (kind == SUM) {                                                                  \
            for (int64_t j = 0; j < n; j++) out[j] += x[j];                                        \
        } else if (kind == MAXIMUM) {                                                              \
            for (int64_t j = 0; j < n; j++) { const T p = out[j], q = x[j]; out[j] = MORE(p, q); } \
        } else {                                                                                   \
            for (int64_t j = 0; j < n; j++) { const T p = out[j], q = x[j]; out[j] = LESSER(p, q); } \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* Few rows, four at a time. */                                                                \
    static void sum_rows_##t(T *restrict out, const T *x, int64_t apart, int64_t n_rows,           \
                             int64_t n) {                                                          \
        int64_t r = n_rows % 4;                                                                    \
        if (r == 0) r = 4;                                                                         \
        for (int64_t j = 0; j < n; j++) {                                                          \
            T sum = x[j];                                                                          \
            if (r > 1) sum += x[apart + j];                                                        \
            if (r > 2) sum += x[2 * apart + j];                                                    \
            if (r > 3) sum += x[3 * apart + j];                                                    \
            out[j] = sum;                                                                          \
        }                                                                                          \
        for (; r < n_rows; r += 4) {                                                               \
            const T *a = x + r * apart, *b = a + apart, *c = b + apart, *d = c + apart;            \
            for (int64_t j = 0; j < n; j++) out[j] += (a[j] + b[j]) + (c[j] + d[j]);               \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void reduce_##t(int64_t kind, int64_t n_kept, int64_t n_reduced, const int64_t *lengths, \
                           Operand out, Operand x, Operand y) {                                    \
        const int64_t size = sizeof(T), *reduced = lengths + n_kept;                               \
        const int64_t *xr = x.strides + n_kept, *yr = y.strides + n_kept;                          \
        const int64_t inner = n_reduced ? reduced[n_reduced - 1] : 1;                              \
        const int is_flat = n_reduced && xr[n_reduced - 1] == size && yr[n_reduced - 1] == size;   \
        const int is_rows = !is_flat && n_kept && x.strides[n_kept - 1] == size &&                 \
                            y.strides[n_kept - 1] == size && out.strides[n_kept - 1] == size;      \
        const int64_t n_outer = is_rows ? n_kept - 1 : n_kept;                                     \
        int64_t place[MAX_AXES] = {0};                                                             \
        do {                                                                                       \
            T *o = (T *)(out.start + distance(n_outer, place, out.strides));                       \
            const char *p = x.start + distance(n_outer, place, x.strides);                         \
            const char *q = y.start + distance(n_outer, place, y.strides);                         \
            int64_t at[MAX_AXES] = {0};                                                            \
            if (is_rows) {                                                                         \
                const int64_t n = lengths[n_kept - 1];                                             \
                T part[LANES * LANES];                                                             \
                for (int64_t left = 0; left < n; left += LANES * LANES) {                          \
                    const int64_t wide = n - left < LANES * LANES ? n - left : LANES * LANES;      \
                    int64_t count = 0;                                                             \
                    int is_first = 1;                                                              \
                    memset(at, 0, sizeof at);                                                      \
                    if (kind == SUM && n_reduced == 1 && reduced[0] <= PIECE / LANES) {            \
                        sum_rows_##t(o + left, (const T *)p + left, xr[0] / size, reduced[0], wide); \
                        continue;                                                                  \
                    }                                                                              \
                    do {                                                                           \
                        const T *u = (const T *)(p + distance(n_reduced, at, xr)) + left;          \
                        const T *v = (const T *)(q + distance(n_reduced, at, yr)) + left;          \
                        add_rows_##t(kind, part, u, v, wide, count == 0);                          \
                        if (++count == PIECE / LANES) {                                            \
                            add_rows_##t(kind == DOT ? SUM : kind, o + left, part, part, wide, is_first); \
                            count = is_first = 0;                                                  \
                        }                                                                          \
                    } while (advance(n_reduced, reduced, at));                                     \
                    if (count)                                                                     \
                        add_rows_##t(kind == DOT ? SUM : kind, o + left, part, part, wide, is_first); \
                }                                                                                  \
                continue;                                                                          \
            }                                                                                      \
            int is_first = 1;                                                                      \
            T total = 0;                                                                           \
            const int64_t n_loops = n_reduced ? n_reduced - 1 : 0;                                 \
            do {                                                                                   \
                const char *u = p + distance(n_loops, at, xr), *v = q + distance(n_loops, at, yr); \
                if (is_flat) {                                                                     \
                    const T part = fold_##t(kind, (const T *)u, (const T *)v, inner);              \
                    total = is_first ? part : combine_##t(kind, total, part);                      \
                    is_first = 0;                                                                  \
                    continue;                                                                      \
                }                                                                                  \
                for (int64_t j = 0; j < inner; j++) {                                              \
                    T each = *(const T *)(n_reduced ? u + j * xr[n_reduced - 1] : u);              \
                    if (kind == DOT) each *= *(const T *)(n_reduced ? v + j * yr[n_reduced - 1] : v); \
                    total = is_first ? each : combine_##t(kind, total, each);                      \
                    is_first = 0;                                                                  \
                }                                                                                  \
            } while (advance(n_loops, reduced, at));                                               \
            *o = total;                                                                            \
        } while (advance(n_outer, lengths, place));                                                \
    }

REDUCTIONS(f32, float)
REDUCTIONS(f64, double)
REDUCTIONS(bool, boolean)
REDUCTIONS(i64, int64_t)

static void reduce(const int64_t *words, const Place *places, int64_t k, char *scratch) {
    const int64_t kind = words[0], dtype = words[1], n_kept = words[2], n_reduced = words[3];
    const int64_t *lengths = words + 4, n = n_kept + n_reduced;
    Operand out, x, y;
    const int64_t *next = operand(lengths + n, n_kept, places, k, scratch, &out);
    next = operand(next, n, places, k, scratch, &x);
    operand(next, n, places, k, scratch, &y);
    switch (dtype) {
    case F32: reduce_f32(kind, n_kept, n_reduced, lengths, out, x, y); break;
    case F64: reduce_f64(kind, n_kept, n_reduced, lengths, out, x, y); break;
    case BOOL: reduce_bool(kind, n_kept, n_reduced, lengths, out, x, y); break;
    default: reduce_i64(kind, n_kept, n_reduced, lengths, out, x, y);
    }
}

/* ---- Products ---- */

/* A matrix as BLAS takes it: by columns, transposed or not, and how far columns are apart. */
typedef struct { int by_columns; int64_t apart; } Order;

static inline Order order_of(int64_t n_rows, int64_t n_columns, const int64_t *strides,
                             int64_t size) {
    if (strides[1] == size || n_columns == 1)
        if (n_rows == 1 || strides[0] >= n_columns * size)
            return (Order){0, n_rows == 1 ? n_columns : strides[0] / size};
    return (Order){1, n_columns == 1 ? n_rows : strides[1] / size};
}

/* Multiplications up to which own kernels are faster: measured with vectors of 256 bits. */
#ifndef OWN
#if defined(__AVX2__) && !defined(__AVX512F__)
#define OWN (1 << 27)
#else
#define OWN 100000
#endif
#endif

static void multiply_matrices(const Blas *blas, int64_t dtype, int64_t n, int64_t inner, int64_t m,
                              char *out, const int64_t *so, char *a, const int64_t *sa, char *b,
                              const int64_t *sb, int adds, char *strips) {
    const int64_t size = size_of[dtype];
    if (n * inner * m <= OWN) {
        if (dtype == F32)
            own_product_f32(n, inner, m, (float *)out, so, (float *)a, sa, (float *)b, sb, adds,
                            (float *)strips);
        else
            own_product_f64(n, inner, m, (double *)out, so, (double *)a, sa, (double *)b, sb, adds,
                            (double *)strips);
        return;
    }
    const Order o = order_of(n, m, so, size), p = order_of(n, inner, sa, size),
                q = order_of(inner, m, sb, size);
    int rows = (int)n, columns = (int)m, depth = (int)inner;
    int lo = (int)o.apart, lp = (int)p.apart, lq = (int)q.apart;
    char pt = p.by_columns == o.by_columns ? 'N' : 'T', qt = q.by_columns == o.by_columns ? 'N' : 'T';
    /* By rows, the transposed product of the transposed factors. */
    if (!o.by_columns) {
        const char *t = a;
        const int l = lp, s = rows;
        const char c = pt;
        a = b, b = (char *)t;
        lp = lq, lq = l;
        pt = qt, qt = c;
        rows = columns, columns = s;
    }
    if (dtype == F32) {
        float one = 1, factor = adds ? 1 : 0;
        blas->s(&pt, &qt, &rows, &columns, &depth, &one, (float *)a, &lp, (float *)b, &lq, &factor,
                (float *)out, &lo);
    } else {
        double one = 1, factor = adds ? 1 : 0;
        blas->d(&pt, &qt, &rows, &columns, &depth, &one, (double *)a, &lp, (double *)b, &lq, &factor,
                (double *)out, &lo);
    }
}

/* Write a term to the place of a product, which is then added to it. */
static void spread(int64_t dtype, int64_t n, int64_t m, char *out, const int64_t *so, char *term,
                   const int64_t *st) {
    const int by_rows = so[1] == size_of[dtype] || m == 1;
    const int outer = by_rows ? 0 : 1, inner = 1 - outer;
    const Rows to = {out, so[outer], so[inner]}, from = {term, st[outer], st[inner]};
    copies[dtype][dtype](by_rows ? n : m, by_rows ? m : n, &to, &from);
}

static void matmul(const int64_t *words, const Place *places, int64_t k, char *scratch,
                   char *strips, const Blas *blas) {
    const int64_t dtype = words[0], n_axes = words[1], *lengths = words + 2;
    const int64_t n = lengths[n_axes], inner = lengths[n_axes + 1], m = lengths[n_axes + 2];
    const int adds = lengths[n_axes + 3] == 1;
    int64_t place[MAX_AXES] = {0};
    Operand out, a, b, term = {0};
    const int64_t *next = operand(lengths + n_axes + 4, n_axes + 2, places, k, scratch, &out);
    next = operand(next, n_axes + 2, places, k, scratch, &a);
    next = operand(next, n_axes + 2, places, k, scratch, &b);
    if (adds) operand(next, n_axes + 2, places, k, scratch, &term);
    do {
        char *result = out.start + distance(n_axes, place, out.strides);
        if (adds)
            spread(dtype, n, m, result, out.strides + n_axes,
                   term.start + distance(n_axes, place, term.strides), term.strides + n_axes);
        multiply_matrices(blas, dtype, n, inner, m, result, out.strides + n_axes,
                          a.start + distance(n_axes, place, a.strides), a.strides + n_axes,
                          b.start + distance(n_axes, place, b.strides), b.strides + n_axes, adds,
                          strips);
    } while (advance(n_axes, lengths, place));
}

/* ---- Rows of a table ---- */

static int rows_of_table(int64_t op, const int64_t *words, const Place *places, int64_t k,
                         char *scratch) {
    const int64_t dtype = words[0], n_rows = words[1], n_columns = words[2], n_table = words[3];
    const int64_t size = size_of[dtype];
    Operand table, rows, indices;
    const int64_t *next = operand(words + 4, 2, places, k, scratch, op == TAKE ? &rows : &table);
    next = operand(next, 2, places, k, scratch, op == TAKE ? &table : &rows);
    operand(next, 1, places, k, scratch, &indices);
    if (op == ADD_AT)
        for (int64_t i = 0; i < n_table; i++)
            memset(table.start + i * table.strides[0], 0, (size_t)(n_columns * size));
    for (int64_t i = 0; i < n_rows; i++) {
        const int64_t index = *(const int64_t *)(indices.start + i * indices.strides[0]);
        if (index < 0 || index >= n_table) return 1;
        char *of_table = table.start + index * table.strides[0], *row = rows.start + i * rows.strides[0];
        if (op == TAKE)
            memcpy(row, of_table, (size_t)(n_columns * size));
        else if (dtype == F32)
            for (int64_t j = 0; j < n_columns; j++) ((float *)of_table)[j] += ((float *)row)[j];
        else
            for (int64_t j = 0; j < n_columns; j++) ((double *)of_table)[j] += ((double *)row)[j];
    }
    return 0;
}

/* ---- Products with sparse rows ---- */

/* A column is looked at before it is used; numbers and rows are as the host says. */
#define SPARSE_OF(name, T, I)                                                                      \
    static int name(int transposed, int64_t n_rows, int64_t n_columns, int64_t n_table,            \
                    const Operand *rows, const Operand *table, const T *numbers, const I *columns, \
                    const I *starts) {                                                             \
        for (int64_t r = 0; r < n_rows; r++) {                                                     \
            T *row = (T *)(rows->start + r * rows->strides[0]);                                    \
            if (!transposed) memset(row, 0, (size_t)n_columns * sizeof(T));                        \
            for (I p = starts[r]; p < starts[r + 1]; p++) {                                        \
                const int64_t column = (int64_t)columns[p];                                        \
                if (column < 0 || column >= n_table) return 1;                                     \
                const T x = numbers[p];                                                            \
                T *other = (T *)(table->start + column * table->strides[0]);                       \
                if (transposed) INDEPENDENT for (int64_t j = 0; j < n_columns; j++) other[j] += x * row[j]; \
                else INDEPENDENT for (int64_t j = 0; j < n_columns; j++) row[j] += x * other[j];   \
            }                                                                                      \
        }                                                                                          \
        return 0;                                                                                  \
    }

SPARSE_OF(sparse_f32_i32, float, int32_t)
SPARSE_OF(sparse_f32_i64, float, int64_t)
SPARSE_OF(sparse_f64_i32, double, int32_t)
SPARSE_OF(sparse_f64_i64, double, int64_t)

static int sparse(int64_t op, const int64_t *words, const Place *places, int64_t k, char *scratch) {
    const int64_t dtype = words[0], n = words[1], m = words[2], n_table = words[3];
    const int transposed = op == SPARSE_TN;
    Operand rows, table, matrix;
    const int64_t *next = operand(words + 4, 2, places, k, scratch, transposed ? &table : &rows);
    next = operand(next, 2, places, k, scratch, transposed ? &rows : &table);
    operand(next, 1, places, k, scratch, &matrix);
    if (transposed)
        for (int64_t i = 0; i < n_table; i++)
            memset(table.start + i * table.strides[0], 0, (size_t)(m * size_of[dtype]));
    int64_t found[4];
    for (int i = 0; i < 4; i++) found[i] = *(const int64_t *)(matrix.start + i * matrix.strides[0]);
    const void *numbers = (const void *)found[0], *columns = (const void *)found[1],
               *starts = (const void *)found[2];
    if (dtype == F32)
        return found[3] == 4
                   ? sparse_f32_i32(transposed, n, m, n_table, &rows, &table, numbers, columns, starts)
                   : sparse_f32_i64(transposed, n, m, n_table, &rows, &table, numbers, columns, starts);
    return found[3] == 4
               ? sparse_f64_i32(transposed, n, m, n_table, &rows, &table, numbers, columns, starts)
               : sparse_f64_i64(transposed, n, m, n_table, &rows, &table, numbers, columns, starts);
}

/* ---- Convolutions ---- */

/* The windows of one row of windows, side by side, as rows of numbers. */
static void cut_row(const int64_t *geometry, int64_t size, const char *image, const int64_t *strides,
                    int64_t down, char *patches) {
    const int64_t height = geometry[1], width = geometry[2], n_channels = geometry[3];
    const int64_t high = geometry[4], wide = geometry[5], n_across = geometry[11];
    const int64_t top = down * geometry[6] - geometry[8];
    const int64_t pixel = n_channels * size, line = wide * pixel;
    const int has_gaps = strides[1] != pixel;
    for (int64_t i = 0; i < n_across; i++) {
        const int64_t left = i * geometry[7] - geometry[9];
        const int64_t before = left < 0 ? -left : 0;
        const int64_t end = width - left < wide ? width - left : wide;
        for (int64_t p = 0; p < high; p++, patches += line) {
            const int64_t y = top + p;
            if (y < 0 || y >= height || end <= before) {
                memset(patches, 0, (size_t)line);
                continue;
            }
            if (before) memset(patches, 0, (size_t)(before * pixel));
            if (end < wide) memset(patches + end * pixel, 0, (size_t)((wide - end) * pixel));
            const char *from = image + y * strides[0] + (left + before) * strides[1];
            char *to = patches + before * pixel;
            if (!has_gaps)
                memcpy(to, from, (size_t)((end - before) * pixel));
            else
                for (int64_t q = before; q < end; q++, to += pixel, from += strides[1])
                    memcpy(to, from, (size_t)pixel);
        }
    }
}

static void convolve(int64_t op, const int64_t *words, const Place *places, int64_t k,
                     char *scratch, char *strips, const Blas *blas) {
    const int64_t dtype = words[0], n_axes = words[1], *lengths = words + 2, size = size_of[dtype];
    const int64_t *geometry = lengths + n_axes, *rest = geometry + GEOMETRY;
    const int64_t n_out = rest[0], n_together = rest[1];
    const int64_t n_in = geometry[4] * geometry[5] * geometry[3];
    const int64_t n_down = geometry[10], n_across = geometry[11], n_rows = geometry[0] * n_down;
    const int64_t packed[2] = {n_in * size, size}, turned[2] = {size, n_in * size};
    int64_t place[MAX_AXES] = {0};
    Operand out, images, other, patches;
    const int64_t *next = operand(rest + 2, n_axes + 2, places, k, scratch, &out);
    next = operand(next, n_axes + 4, places, k, scratch, &images);
    next = operand(next, n_axes + 2, places, k, scratch, &other);
    operand(next, 1, places, k, scratch, &patches);
    do {
        const int64_t *of_out = out.strides + n_axes, *of_other = other.strides + n_axes;
        const int64_t *of_images = images.strides + n_axes;
        const char *all = images.start + distance(n_axes, place, images.strides);
        char *result = out.start + distance(n_axes, place, out.strides);
        char *factor = other.start + distance(n_axes, place, other.strides);
        for (int64_t first = 0; first < n_rows; first += n_together) {
            const int64_t last = first + n_together < n_rows ? first + n_together : n_rows;
            for (int64_t row = first; row < last; row++)
                cut_row(geometry, size, all + row / n_down * of_images[0], of_images + 1,
                        row % n_down, patches.start + (row - first) * n_across * n_in * size);
            const int64_t n = (last - first) * n_across, start = first * n_across;
            if (op == CONVOLVE)
                multiply_matrices(blas, dtype, n, n_in, n_out, result + start * of_out[0], of_out,
                                  patches.start, packed, factor, of_other, 0, strips);
            else
                multiply_matrices(blas, dtype, n_in, n, n_out, result, of_out, patches.start, turned,
                                  factor + start * of_other[0], of_other, first > 0, strips);
        }
    } while (advance(n_axes, lengths, place));
}

/* ---- Programs ---- */

static int run_code(const int64_t *code, const Place *places, int64_t k, char *scratch, char *slots,
                    const Blas *blas) {
    const int64_t n_instructions = code[4], *words = code + HEADER + 2 * code[2];
    for (int64_t i = 0; i < n_instructions; i++, words += words[1]) {
        switch (words[0]) {
        case RUN: run_steps(words + 2, places, k, scratch, slots); break;
        case REDUCE: reduce(words + 2, places, k, scratch); break;
        case MATMUL: matmul(words + 2, places, k, scratch, slots, blas); break;
        case CONVOLVE:
        case CONVOLVE_WEIGHTS:
            convolve(words[0], words + 2, places, k, scratch, slots, blas);
            break;
        case SPARSE:
        case SPARSE_TN:
            if (sparse(words[0], words + 2, places, k, scratch)) return 1;
            break;
        default:
            if (rows_of_table(words[0], words + 2, places, k, scratch)) return 1;
        }
    }
    return 0;
}

int INTERPRETER(const Task *tasks, int64_t n_tasks, int64_t first_model, int64_t last_model,
                char *scratch, char *slots, const Blas *blas) {
    for (int64_t k = first_model; k < last_model; k++)
        for (int64_t t = 0; t < n_tasks; t++)
            if (run_code(tasks[t].code, tasks[t].places, k, scratch, slots, blas)) return 1;
    return 0;
}
