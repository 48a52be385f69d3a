/* The interpreter, compiled once for each set of vector instructions: INTERPRETER names it. */

#include "interpreter.h"
#include "functions.h"
#include "products.h"

#include <math.h>
#include <string.h>

/* Strips of products are made where the slots of runs are. */
_Static_assert(STRIP_BYTES <= TILE_BYTES * N_SLOTS, "strips need more than the slots have");

#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(_MSC_VER)
#define INDEPENDENT __pragma(loop(ivdep))
#elif defined(__GNUC__)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) (void)(address)
#endif

typedef unsigned char boolean;

static const int64_t size_of[N_DTYPES] = {4, 8, 1, 8};

/* An array of rows: bytes from one to the next, and from one column to the next. Without gaps between
   columns, or with one value for all; copies take any other. */
typedef struct { char *start; int64_t row, column; } Rows;

/* ---- One function of each element ---- */

typedef void (*Function)(int64_t n_rows, int64_t n_columns, const Rows *out, const Rows *a,
                         const Rows *b, const Rows *c);

/* Rows are in the cases, not the cases in rows: short rows leave no time for more than their own. */
#define EACH_ROW for (int64_t r = 0; r < n_rows; r++)
#define EACH_COLUMN INDEPENDENT for (int64_t j = 0; j < n_columns; j++)
#define AT(T, x) ((T *)(x.start + r * x.row))

#define UNARY(name, T, U, value)                                                                   \
    static void name(int64_t n_rows, int64_t n_columns, const Rows *out, const Rows *first,        \
                     const Rows *second, const Rows *third) {                                      \
        const Rows to = *out, a = *first;                                                          \
        (void)second, (void)third;                                                                 \
        if (a.column)                                                                              \
            EACH_ROW {                                                                             \
                U *o = AT(U, to);                                                                  \
                const T *p = AT(const T, a);                                                       \
                EACH_COLUMN { const T x = p[j]; o[j] = (U)(value); }                               \
            }                                                                                      \
        else                                                                                       \
            EACH_ROW {                                                                             \
                U *o = AT(U, to);                                                                  \
                const T x = *AT(const T, a);                                                       \
                const U z = (U)(value);                                                            \
                EACH_COLUMN o[j] = z;                                                              \
            }                                                                                      \
    }

/* The rows of two inputs, of which an element is X and Y. */
#define ROWS_OF_TWO(T, U, X, Y, value)                                                             \
    EACH_ROW {                                                                                     \
        U *o = AT(U, to);                                                                          \
        const T *p = AT(const T, a), *q = AT(const T, b);                                          \
        const T p0 = *p, q0 = *q;                                                                  \
        (void)p0, (void)q0;                                                                        \
        EACH_COLUMN { const T x = X, y = Y; o[j] = (U)(value); }                                   \
    }

#define BINARY(name, T, U, value)                                                                  \
    static void name(int64_t n_rows, int64_t n_columns, const Rows *out, const Rows *first,        \
                     const Rows *second, const Rows *third) {                                      \
        const Rows to = *out, a = *first, b = *second;                                             \
        (void)third;                                                                               \
        if (a.column && b.column) ROWS_OF_TWO(T, U, p[j], q[j], value)                             \
        else if (a.column) ROWS_OF_TWO(T, U, p[j], q0, value)                                      \
        else if (b.column) ROWS_OF_TWO(T, U, p0, q[j], value)                                      \
        else ROWS_OF_TWO(T, U, p0, q0, value)                                                      \
    }

/* The rows of three inputs, of which an element is X, Y and Z. */
#define ROWS_OF_THREE(C, T, X, Y, Z, value)                                                        \
    EACH_ROW {                                                                                     \
        T *o = AT(T, to);                                                                          \
        const C *p = AT(const C, a);                                                               \
        const T *q = AT(const T, b), *s = AT(const T, c);                                          \
        const T q0 = *q, s0 = *s;                                                                  \
        (void)q0, (void)s0;                                                                        \
        EACH_COLUMN { const C x = X; const T y = Y, z = Z; o[j] = (value); }                       \
    }

#define TERNARY(name, C, T, value)                                                                 \
    static void name(int64_t n_rows, int64_t n_columns, const Rows *out, const Rows *first,        \
                     const Rows *second, const Rows *third) {                                      \
        const Rows to = *out, a = *first, b = *second, c = *third;                                 \
        const int64_t i = a.column != 0, k = b.column != 0, l = c.column != 0;                     \
        if (i && k && l) ROWS_OF_THREE(C, T, p[j], q[j], s[j], value)                              \
        else if (i && k && !l) ROWS_OF_THREE(C, T, p[j], q[j], s0, value)                          \
        else if (i && !k && l) ROWS_OF_THREE(C, T, p[j], q0, s[j], value)                          \
        else if (i && !k && !l) ROWS_OF_THREE(C, T, p[j], q0, s0, value)                           \
        else ROWS_OF_THREE(C, T, p[j * i], q[j * k], s[j * l], value)                              \
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
    BINARY(power_each_##t, T, T, pow_##t(x, y))                                                    \
    BINARY(larger_##t, T, T, x >= y || x != x ? x : y)                                             \
    BINARY(smaller_##t, T, T, x <= y || x != x ? x : y)                                            \
    BINARY(relu_gradient_##t, T, T, y > 0 ? x : (T)0)                                              \
    TERNARY(clip_##t, T, T, (x < y ? y : x) > z ? z : (x < y ? y : x))                             \
    BINARY(root_add_##t, T, T, F(sqrt)(x) + y)                                                     \
    TERNARY(multiply_add_##t, T, T, x * y + z)                                                     \
    TERNARY(multiply_add_square_##t, T, T, x * y + z * z)                                          \
    TERNARY(divide_by_root_##t, T, T, x / (F(sqrt)(y) + z))                                        \
    TERNARY(multiply_condition_##t, boolean, T, ((void)z, (T)x * y))

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
    static void name(int64_t n_rows, int64_t n_columns, const Rows *out, const Rows *from) {       \
        const Rows to = *out, a = *from;                                                           \
        if (to.column == sizeof(U) && a.column == sizeof(T)) {                                     \
            EACH_ROW {                                                                             \
                U *o = AT(U, to);                                                                  \
                const T *p = AT(const T, a);                                                       \
                EACH_COLUMN { const T x = p[j]; o[j] = (U)(value); }                               \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        if (to.column == sizeof(U) && a.column == 0) {                                             \
            EACH_ROW {                                                                             \
                U *o = AT(U, to);                                                                  \
                const T x = *AT(const T, a);                                                       \
                EACH_COLUMN o[j] = (U)(value);                                                     \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        EACH_ROW {                                                                                 \
            char *o = to.start + r * to.row;                                                       \
            const char *p = a.start + r * a.row;                                                   \
            for (int64_t j = 0; j < n_columns; j++) {                                              \
                const T x = *(const T *)(p + j * a.column);                                        \
                *(U *)(o + j * to.column) = (U)(value);                                            \
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
    [ROOT_ADD] = BOTH(root_add),
    [WHERE] = EVERY(where),
    [MULTIPLY_CONDITION] = BOTH(multiply_condition),
    [CLIP] = BOTH(clip),
    [MULTIPLY_ADD] = BOTH(multiply_add),
    [MULTIPLY_ADD_SQUARE] = BOTH(multiply_add_square),
    [DIVIDE_BY_ROOT] = BOTH(divide_by_root),
};

/* ---- Functions with a row that is the same for all ---- */

/* What takes little, where the second input is one row for all, as the third may be: so many columns
   of all rows at a time, for which these rows stay in registers. That is worth it for so many rows. */
#define ABREAST 16
#define MANY_ALIKE 8
#define EACH_ABREAST INDEPENDENT for (int j = 0; j < ABREAST; j++)
#define ROW_OF(T, x) ((T *)(x.start + r * x.row) + left)

#define BY_COLUMNS(name, T, value)                                                                 \
    static void name##_by_columns(int64_t n_rows, int64_t n_columns, const Rows *out,              \
                                  const Rows *first, const Rows *second, const Rows *third) {      \
        const Rows to = *out, a = *first, b = *second, c = *third;                                 \
        for (int64_t left = 0; left < n_columns; left += ABREAST) {                                \
            T y[ABREAST], all[ABREAST];                                                            \
            EACH_ABREAST y[j] = ((const T *)b.start)[left + j];                                    \
            EACH_ABREAST all[j] = ((const T *)c.start)[left + j];                                  \
            if (c.row == 0)                                                                        \
                EACH_ROW {                                                                         \
                    T *o = ROW_OF(T, to);                                                          \
                    const T *x = ROW_OF(const T, a), *z = all;                                     \
                    (void)z;                                                                       \
                    EACH_ABREAST o[j] = value;                                                     \
                }                                                                                  \
            else                                                                                   \
                EACH_ROW {                                                                         \
                    T *o = ROW_OF(T, to);                                                          \
                    const T *x = ROW_OF(const T, a), *z = ROW_OF(const T, c);                      \
                    (void)z;                                                                       \
                    EACH_ABREAST o[j] = value;                                                     \
                }                                                                                  \
        }                                                                                          \
    }

#define CHEAP_BY_COLUMNS(t, T)                                                                     \
    BY_COLUMNS(add_##t, T, x[j] + y[j])                                                            \
    BY_COLUMNS(subtract_##t, T, x[j] - y[j])                                                       \
    BY_COLUMNS(multiply_##t, T, x[j] * y[j])                                                       \
    BY_COLUMNS(multiply_add_##t, T, x[j] * y[j] + z[j])

CHEAP_BY_COLUMNS(f32, float)
CHEAP_BY_COLUMNS(f64, double)

#define BOTH_BY_COLUMNS(name) {name##_f32_by_columns, name##_f64_by_columns, NULL, NULL}

static const Function by_columns[N_FUNCTIONS][N_DTYPES] = {
    [ADD] = BOTH_BY_COLUMNS(add),
    [SUBTRACT] = BOTH_BY_COLUMNS(subtract),
    [MULTIPLY] = BOTH_BY_COLUMNS(multiply),
    [MULTIPLY_ADD] = BOTH_BY_COLUMNS(multiply_add),
};

/* ---- Operands ---- */

/* What instructions are run with: for model k, by a thread that may have a team. */
typedef struct {
    const Place *places;
    int64_t k;
    char *scratch, *slots;
    const Blas *blas;
    Team *team;
} Context;

typedef struct { char *start; const int64_t *strides; } Operand;

static inline char *beginning(const int64_t *words, const Context *context) {
    if (words[0] == 0) return context->scratch + words[1];
    const Place *place = context->places + words[0];
    return place->base + words[1] + words[2] * (place->map ? place->map[context->k] : context->k);
}

/* Read an operand of n axes; returns what comes after it. */
static inline const int64_t *operand(const int64_t *words, int64_t n, const Context *context,
                                     Operand *found) {
    found->start = beginning(words, context);
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

/* ---- Parts that threads share ---- */

/* What is in a part of an instruction, at least, which is to take tens of microseconds: steps of
   elements, multiplications and rows or columns, bytes. */
#ifndef RUN_PART
#define RUN_PART (1 << 17)
#define PRODUCT_PART (1 << 20)
#define PRODUCT_WIDTH 24
#define TAKE_PART (1 << 17)
#endif

/* ---- Runs of functions of each element ---- */

/* What a step works on: the whole of it, and the rows of a tile. */
typedef struct {
    Rows rows;
    int64_t size, dtype;
    /* Of what is in memory; else NULL. */
    const int64_t *strides;
    char *start;
} Register;

static inline int without_gaps(const Register *x, int64_t n_columns) {
    const Rows *rows = &x->rows;
    return rows->column ? rows->column == x->size && rows->row == n_columns * x->size : rows->row == 0;
}

static inline void step(const int64_t *words, const Register *registers, int64_t n_rows,
                        int64_t n_columns) {
    const Register *out = registers + words[2], *a = registers + words[3], *b = registers + words[4],
                   *c = registers + words[5];
    if (n_rows > 1 && without_gaps(out, n_columns) && without_gaps(a, n_columns) &&
        without_gaps(b, n_columns) && without_gaps(c, n_columns)) {
        n_columns *= n_rows;
        n_rows = 1;
    }
    if (words[0] == COPY) {
        copies[words[1]][out->dtype](n_rows, n_columns, &out->rows, &a->rows);
        return;
    }
    Function function = functions[words[0]][words[1]];
    if (n_rows >= MANY_ALIKE && n_columns % ABREAST == 0 && b->rows.row == 0 && b->rows.column &&
        a->rows.column && c->rows.column && by_columns[words[0]][words[1]])
        function = by_columns[words[0]][words[1]];
    function(n_rows, n_columns, &out->rows, &a->rows, &b->rows, &c->rows);
}

/* Tiles of a run, in equal parts. */
typedef struct {
    const int64_t *words;
    const Context *context;
    int64_t n_tiles, n_parts;
} Tiles;

static void run_tiles(const void *work, int64_t number, char *scratch, char *slots) {
    (void)scratch;
    const Tiles *tiles = work;
    const int64_t *words = tiles->words;
    const int64_t n_axes = words[0], *lengths = words + 1, *rest = lengths + n_axes;
    const int64_t n_registers = rest[0], n_steps = rest[2], n_elements = rest[3];
    const int64_t n_rows = lengths[n_axes - 2], n_columns = lengths[n_axes - 1];
    const int64_t width = n_columns < n_elements ? n_columns : n_elements;
    const int64_t height = n_rows > 1 && width < n_elements ? n_elements / width : 1;
    int64_t place[MAX_AXES] = {0};
    Register registers[MAX_REGISTERS];
    const int64_t *next = rest + 4;
    for (int64_t i = 0; i < n_registers; i++, next += 5 + n_axes) {
        Register *each = registers + i;
        each->dtype = next[1];
        each->size = size_of[next[1]];
        each->strides = NULL;
        if (next[0] == NUMBER) {
            each->rows = (Rows){(char *)(next + 2), 0, 0};
        } else if (next[0] == SLOT) {
            each->rows = (Rows){slots + next[2] * TILE_BYTES, width * each->size, each->size};
        } else {
            each->strides = next + 5;
            each->start = beginning(next + 2, tiles->context);
            each->rows = (Rows){each->start, next[3 + n_axes], next[4 + n_axes]};
        }
    }
    int64_t n_left = tiles->n_tiles, top = 0, left = 0;
    /* The first tile is where the arrays begin, but in other parts than the first. */
    int is_there = tiles->n_parts == 1;
    if (tiles->n_parts > 1) {
        int64_t tile = tiles->n_tiles * number / tiles->n_parts;
        n_left = tiles->n_tiles * (number + 1) / tiles->n_parts - tile;
        const int64_t n_across = (n_columns + width - 1) / width;
        const int64_t n_down = (n_rows + height - 1) / height;
        left = tile % n_across * width, tile /= n_across;
        top = tile % n_down * height, tile /= n_down;
        for (int64_t axis = n_axes - 3; axis >= 0; axis--) {
            place[axis] = tile % lengths[axis];
            tile /= lengths[axis];
        }
    }
    do {
        for (; top < n_rows && n_left > 0; top += height, left = 0) {
            const int64_t high = n_rows - top < height ? n_rows - top : height;
            for (; left < n_columns && n_left > 0; left += width, n_left--) {
                const int64_t wide = n_columns - left < width ? n_columns - left : width;
                for (int64_t i = 0; !is_there && i < n_registers; i++) {
                    Register *each = registers + i;
                    if (each->strides)
                        each->rows.start = each->start + distance(n_axes - 2, place, each->strides) +
                                           top * each->rows.row + left * each->rows.column;
                    else
                        each->rows.row = wide * each->rows.column;
                }
                is_there = 0;
                for (int64_t i = 0; i < n_steps; i++)
                    step(next + 6 * i, registers, high, wide);
            }
        }
        top = 0;
    } while (n_left > 0 && advance(n_axes - 2, lengths, place));
}

static void run_steps(const int64_t *words, const Context *context) {
    if (!context->team) {
        const Tiles all = {words, context, INT64_MAX, 1};
        run_tiles(&all, 0, context->scratch, context->slots);
        return;
    }
    const int64_t n_axes = words[0], *lengths = words + 1, *rest = lengths + n_axes;
    const int64_t n_rows = lengths[n_axes - 2], n_columns = lengths[n_axes - 1];
    const int64_t n_steps = rest[2], n_elements = rest[3];
    const int64_t width = n_columns < n_elements ? n_columns : n_elements;
    const int64_t height = width < n_elements ? n_elements / width : 1;
    Tiles tiles = {words, context, (n_rows + height - 1) / height, 1};
    tiles.n_tiles *= (n_columns + width - 1) / width;
    for (int64_t axis = 0; axis < n_axes - 2; axis++) tiles.n_tiles *= lengths[axis];
    tiles.n_parts = parts_for(context->team, tiles.n_tiles * n_elements * n_steps, RUN_PART);
    if (tiles.n_parts > tiles.n_tiles) tiles.n_parts = tiles.n_tiles;
    share(context->team, run_tiles, &tiles, tiles.n_parts, context->scratch, context->slots);
}

/* ---- Reductions ---- */

/* Sums keep LANES partial sums, which one vector instruction adds to, and begin anew now and then,
   so that errors grow as slowly as those of small sums. */
#define LANES 16
#define PIECE 2048
/* Bytes of rows that stay in the first cache. */
#define NEAR (1 << 14)

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

/* Columns of near rows are summed in registers, as `FOUR_ROWS` does it; returns how many are. */
#define NEAR_ROWS(t, T)                                                                            \
    static inline t##x row_##t(int is_dot, const T *p, const T *q) {                               \
        return is_dot ? t##x_mul(t##x_load(p), t##x_load(q)) : t##x_load(p);                       \
    }                                                                                              \
    static inline int64_t near_##t(int is_dot, T *out, const T *x, int64_t apart, const T *y,      \
                                   int64_t other, int64_t n_rows, int64_t n) {                     \
        const int64_t wide = sizeof(t##x) / sizeof(T);                                             \
        int64_t left = 0;                                                                          \
        if (n_rows * apart * (int64_t)sizeof(T) > NEAR) return 0;                                  \
        for (; left + wide <= n; left += wide) {                                                   \
            const T *p = x + left, *q = y + left;                                                  \
            int64_t r = (n_rows - 1) % 4 + 1;                                                      \
            t##x sum = row_##t(is_dot, p, q);                                                      \
            for (int64_t i = 1; i < r; i++)                                                        \
                sum = t##x_add(sum, row_##t(is_dot, p + i * apart, q + i * other));                \
            for (; r < n_rows; r += 4) {                                                           \
                const T *a = p + r * apart, *b = a + 2 * apart;                                    \
                const T *e = q + r * other, *f = e + 2 * other;                                    \
                const t##x one = t##x_add(row_##t(is_dot, a, e),                                   \
                                          row_##t(is_dot, a + apart, e + other));                  \
                const t##x two = t##x_add(row_##t(is_dot, b, f),                                   \
                                          row_##t(is_dot, b + apart, f + other));                  \
                sum = t##x_add(sum, t##x_add(one, two));                                           \
            }                                                                                      \
            t##x_store(out + left, sum);                                                           \
        }                                                                                          \
        return left;                                                                               \
    }

NEAR_ROWS(f32, float)
NEAR_ROWS(f64, double)
#define near_bool(is_dot, out, x, apart, y, other, n_rows, n) 0
#define near_i64(is_dot, out, x, apart, y, other, n_rows, n) 0

/* The sum of rows, four at a time, or of their products with others; they are so far apart. */
#define FOUR_ROWS(name, T, OF, of_near, is_dot)                                                    \
    static void name(T *restrict out, const T *x, int64_t apart, const T *y, int64_t other,        \
                     int64_t n_rows, int64_t n) {                                                  \
        const int64_t left = of_near(is_dot, out, x, apart, y, other, n_rows, n);                  \
        if (left == n) return;                                                                     \
        out += left, x += left, y += left, n -= left;                                              \
        int64_t r = n_rows % 4;                                                                    \
        if (r == 0) r = 4;                                                                         \
        (void)y, (void)other;                                                                      \
        for (int64_t j = 0; j < n; j++) {                                                          \
            T sum = OF(x, y);                                                                      \
            if (r > 1) sum += OF((x + apart), (y + other));                                        \
            if (r > 2) sum += OF((x + 2 * apart), (y + 2 * other));                                \
            if (r > 3) sum += OF((x + 3 * apart), (y + 3 * other));                                \
            out[j] = sum;                                                                          \
        }                                                                                          \
        for (; r < n_rows; r += 4) {                                                               \
            const T *a = x + r * apart, *b = a + apart, *c = b + apart, *d = c + apart;            \
            const T *e = y + r * other, *f = e + other, *g = f + other, *h = g + other;            \
            (void)e, (void)f, (void)g, (void)h;                                                    \
            for (int64_t j = 0; j < n; j++) out[j] += (OF(a, e) + OF(b, f)) + (OF(c, g) + OF(d, h)); \
        }                                                                                          \
    }
#define ALONE(p, q) p[j]
#define TIMES(p, q) p[j] * q[j]

#define REDUCTIONS(t, T)                                                                           \
    FOLD(fold_sum_##t, T, 0, x[j + i], PLUS(p, q))                                                 \
    FOLD(fold_dot_##t, T, 0, x[j + i] * y[j + i], PLUS(p, q))                                      \
    FOLD(fold_max_##t, T, x[0], x[j + i], MORE(p, q))                                              \
    FOLD(fold_min_##t, T, x[0], x[j + i], LESSER(p, q))                                            \
                                                                                                   \
    static inline T combine_##t(int64_t kind, T p, T q) {                                          \
        return kind == MAXIMUM ? (MORE(p, q)) : kind == MINIMUM ? (LESSER(p, q)) : p + q;          \
    }                                                                                              \
                                                                                                   \
    /* Of neighbours. */                                                                           \
    static T fold_##t(int64_t kind, const T *x, const T *y, int64_t n) {                           \
        T total = 0;                                                                               \
        if (kind == MAXIMUM) return fold_max_##t(x, y, n);                                         \
        if (kind == MINIMUM) return fold_min_##t(x, y, n);                                         \
        for (int64_t j = 0; j < n; j += PIECE) {                                                   \
            const int64_t part = n - j < PIECE ? n - j : PIECE;                                    \
            total += kind == SUM ? fold_sum_##t(x + j, y, part) : fold_dot_##t(x + j, y + j, part);\
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
    FOUR_ROWS(sum_rows_##t, T, ALONE, near_##t, 0)                                                 \
    FOUR_ROWS(dot_rows_##t, T, TIMES, near_##t, 1)                                                 \
                                                                                                   \
    static void reduce_##t(int64_t kind, int64_t n_kept, int64_t n_reduced, const int64_t *lengths,\
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
                    if ((kind == SUM || kind == DOT) && n_reduced == 1) {                          \
                        for (int64_t r = 0; r < reduced[0]; r += PIECE / LANES) {                  \
                            const int64_t most = PIECE / LANES, more = reduced[0] - r;             \
                            const int64_t n_rows = more < most ? more : most;                      \
                            const T *u = (const T *)(p + r * xr[0]) + left;                        \
                            const T *v = (const T *)(q + r * yr[0]) + left;                        \
                            T *to = r ? part : o + left;                                           \
                            if (kind == SUM)                                                       \
                                sum_rows_##t(to, u, xr[0] / size, v, yr[0] / size, n_rows, wide);  \
                            else                                                                   \
                                dot_rows_##t(to, u, xr[0] / size, v, yr[0] / size, n_rows, wide);  \
                            if (r) add_rows_##t(SUM, o + left, part, part, wide, 0);               \
                        }                                                                          \
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

static void reduce(const int64_t *words, const Context *context) {
    const int64_t kind = words[0], dtype = words[1], n_kept = words[2], n_reduced = words[3];
    const int64_t *lengths = words + 4, n = n_kept + n_reduced;
    Operand out, x, y;
    const int64_t *next = operand(lengths + n, n_kept, context, &out);
    next = operand(next, n, context, &x);
    operand(next, n, context, &y);
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

/* Multiplications up to which own kernels are faster: measured with vectors of 256 and 512 bits. */
#ifndef OWN
#if defined(__AVX2__)
#define OWN (1 << 27)
#else
#define OWN 100000
#endif
#endif

/* Multiplications of a tile of BLAS's, and its rows or columns, at least. */
#define TILE_SIZE 4000000
#define TILE_WIDTH 192

/* A product of matrices, (n, inner) times (inner, m), which is added to what is there if it adds; a
   term that is added to it or NULL, so many times or once where that is NULL; and a function of the
   sum, which may ask for a mask. */
typedef struct {
    const Blas *blas;
    int64_t dtype, n, inner, m, function;
    char *out, *a, *b, *term, *times, *mask;
    const int64_t *so, *sa, *sb, *st, *sm;
    int adds;
    int64_t n_parts;
} Product;

/* Do a function to a product's result where it is, by rows or by columns as that is in memory: a copy
   of something else, or one that may ask for something else. */
static void along(const Product *p, int64_t function, char *from, const int64_t *strides) {
    const int by_rows = p->so[1] == size_of[p->dtype] || p->m == 1;
    const int outer = by_rows ? 0 : 1, inner = 1 - outer;
    const int64_t n_rows = by_rows ? p->n : p->m, n_columns = by_rows ? p->m : p->n;
    const Rows to = {p->out, p->so[outer], p->so[inner]};
    const Rows other = from ? (Rows){from, strides[outer], strides[inner]} : to;
    if (function == COPY)
        copies[p->dtype][p->dtype](n_rows, n_columns, &to, &other);
    else
        functions[function][p->dtype](n_rows, n_columns, &to, &to, &other, &other);
}

static void multiply_by_blas(const Product *product) {
    const int64_t size = size_of[product->dtype], n = product->n, inner = product->inner;
    const Order o = order_of(n, product->m, product->so, size),
                p = order_of(n, inner, product->sa, size),
                q = order_of(inner, product->m, product->sb, size);
    int rows = (int)n, columns = (int)product->m, depth = (int)inner;
    int lo = (int)o.apart, lp = (int)p.apart, lq = (int)q.apart;
    char pt = p.by_columns == o.by_columns ? 'N' : 'T', qt = q.by_columns == o.by_columns ? 'N' : 'T';
    char *out = product->out, *a = product->a, *b = product->b;
    /* By rows, the transposed product of the transposed factors. */
    if (!o.by_columns) {
        char *t = a;
        const int l = lp, s = rows;
        const char c = pt;
        a = b, b = t;
        lp = lq, lq = l;
        pt = qt, qt = c;
        rows = columns, columns = s;
    }
    if (product->dtype == F32) {
        float one = 1, factor = product->adds || product->term ? 1 : 0;
        product->blas->s(&pt, &qt, &rows, &columns, &depth, &one, (float *)a, &lp, (float *)b, &lq,
                         &factor, (float *)out, &lo);
    } else {
        double one = 1, factor = product->adds || product->term ? 1 : 0;
        product->blas->d(&pt, &qt, &rows, &columns, &depth, &one, (double *)a, &lp, (double *)b, &lq,
                         &factor, (double *)out, &lo);
    }
}

#define MULTIPLY_OWN(t, T)                                                                         \
    static inline Matrix_##t matrix_##t(char *start, const int64_t *strides) {                     \
        const int64_t size = sizeof(T);                                                            \
        if (!start) return (Matrix_##t){0};                                                        \
        return (Matrix_##t){(T *)start, strides[0] / size, strides[1] / size};                     \
    }                                                                                              \
                                                                                                   \
    static void multiply_own_##t(const Product *p, char *strips) {                                 \
        Target_##t to = {                                                                          \
            .out = matrix_##t(p->out, p->so), .mask = matrix_##t(p->mask, p->sm),                  \
            .times = p->times ? *(const T *)p->times : 1, .function = p->function,                 \
        };                                                                                         \
        *(p->times ? &to.added : &to.term) = matrix_##t(p->term, p->st);                           \
        if (p->adds) to.added = to.out;                                                            \
        own_product_##t(p->n, p->inner, p->m, &to, matrix_##t(p->a, p->sa),                         \
                        matrix_##t(p->b, p->sb), (T *)strips);                                     \
    }

MULTIPLY_OWN(f32, float)
MULTIPLY_OWN(f64, double)

static void multiply_part(const Product *p, char *strips) {
    if (p->n * p->inner * p->m > OWN) {
        if (p->term) along(p, COPY, p->term, p->st);
        if (p->times) along(p, MULTIPLY, p->times, (const int64_t[2]){0, 0});
        multiply_by_blas(p);
        if (p->function != COPY) along(p, p->function, p->mask, p->sm);
    } else if (p->dtype == F32) {
        multiply_own_f32(p, strips);
    } else {
        multiply_own_f64(p, strips);
    }
}

/* Some rows or columns of a product, whichever are more. */
static void part_of_product(const void *work, int64_t number, char *scratch, char *slots) {
    (void)scratch;
    Product part = *(const Product *)work;
    const int by_rows = part.n >= part.m;
    const int64_t all = by_rows ? part.n : part.m, last = part.n_parts - 1;
    const int64_t grain = by_rows ? ROWS : 2 * (int64_t)(sizeof(f32x) / sizeof(float));
    const int64_t start = all * number / part.n_parts / grain * grain;
    const int64_t end = number == last ? all : all * (number + 1) / part.n_parts / grain * grain;
    if (start == end) return;
    if (by_rows) {
        part.a += start * part.sa[0];
        part.n = end - start;
    } else {
        part.b += start * part.sb[1];
        part.m = end - start;
    }
    part.out += start * part.so[!by_rows];
    if (part.term) part.term += start * part.st[!by_rows];
    if (part.mask) part.mask += start * part.sm[!by_rows];
    multiply_part(&part, slots);
}

/* In tiles, where BLAS multiplies: always the same ones, since it rounds each otherwise. Own
   kernels round all elements alike. */
static void multiply(Product *p, const Context *context) {
    const int64_t size = p->n * p->inner * p->m, longer = p->n > p->m ? p->n : p->m;
    int64_t n_parts = 1, most = 1;
    if (size > OWN) {
        n_parts = size / TILE_SIZE;
        most = longer / TILE_WIDTH;
    } else if (context->team && p->n > 1 && p->m > 1) {
        n_parts = parts_for(context->team, size, PRODUCT_PART);
        most = longer / PRODUCT_WIDTH;
    }
    p->n_parts = n_parts < most ? n_parts : most;
    if (p->n_parts > 1)
        share(context->team, part_of_product, p, p->n_parts, context->scratch, context->slots);
    else
        multiply_part(p, context->slots);
}

static void matmul(const int64_t *words, const Context *context) {
    const int64_t dtype = words[0], n_axes = words[1], *lengths = words + 2;
    const int64_t n = lengths[n_axes], inner = lengths[n_axes + 1], m = lengths[n_axes + 2];
    const int64_t n_terms = lengths[n_axes + 3], n_times = lengths[n_axes + 4];
    const int64_t function = lengths[n_axes + 5];
    int64_t place[MAX_AXES] = {0};
    Operand out, a, b, term = {0}, times = {0}, mask = {0};
    const int64_t *next = operand(lengths + n_axes + 6, n_axes + 2, context, &out);
    next = operand(next, n_axes + 2, context, &a);
    next = operand(next, n_axes + 2, context, &b);
    if (n_terms) next = operand(next, n_axes + 2, context, &term);
    if (n_times) next = operand(next, n_axes + 2, context, &times);
    if (function == RELU_GRADIENT) operand(next, n_axes + 2, context, &mask);
    do {
        Product product = {
            .blas = context->blas, .dtype = dtype, .n = n, .inner = inner, .m = m,
            .function = function,
            .out = out.start + distance(n_axes, place, out.strides), .so = out.strides + n_axes,
            .a = a.start + distance(n_axes, place, a.strides), .sa = a.strides + n_axes,
            .b = b.start + distance(n_axes, place, b.strides), .sb = b.strides + n_axes,
        };
        if (n_terms) {
            product.term = term.start + distance(n_axes, place, term.strides);
            product.st = term.strides + n_axes;
        }
        if (n_times) product.times = times.start + distance(n_axes, place, times.strides);
        if (function == RELU_GRADIENT) {
            product.mask = mask.start + distance(n_axes, place, mask.strides);
            product.sm = mask.strides + n_axes;
        }
        multiply(&product, context);
    } while (advance(n_axes, lengths, place));
}

/* ---- Rows of a table ---- */

typedef struct {
    Operand rows, table, indices;
    int64_t n_rows, n_columns, n_table, size, n_parts;
} Taken;

/* Rows ahead that are asked for, of tables that the second-level cache may not have. */
#define ROWS_AHEAD 8
#define FAR_TABLE (1 << 19)

/* A call of memcpy takes as long as a short row. */
static inline void copy_row(char *to, const char *from, int64_t n_bytes) {
    if (n_bytes < 32 || n_bytes > 256) {
        memcpy(to, from, (size_t)n_bytes);
        return;
    }
    for (int64_t i = 0; i < n_bytes - 32; i += 32) memcpy(to + i, from + i, 32);
    memcpy(to + n_bytes - 32, from + n_bytes - 32, 32);
}

#define INDEX(i) (*(const int64_t *)(indices->start + (i) * indices->strides[0]))

/* Columns without gaps, from columns without gaps. */
#define TAKE_COLUMNS(T)                                                                            \
    for (int64_t j = 0; j < taken->n_columns; j++) {                                               \
        T *to = (T *)(rows->start + j * rows->strides[1]);                                         \
        const T *from = (const T *)(table->start + j * table->strides[1]);                         \
        INDEPENDENT for (int64_t i = first; i < end; i++) to[i] = from[INDEX(i)];                  \
    }

static void take_rows(const void *work, int64_t number, char *scratch, char *slots) {
    (void)scratch, (void)slots;
    const Taken *taken = work;
    const Operand *rows = &taken->rows, *table = &taken->table, *indices = &taken->indices;
    const int64_t size = taken->size, n_columns = taken->n_columns, n_bytes = n_columns * size;
    const int64_t first = taken->n_rows * number / taken->n_parts;
    const int64_t end = taken->n_rows * (number + 1) / taken->n_parts;
    const int has_gaps = n_columns > 1 && (rows->strides[1] != size || table->strides[1] != size);
    const int by_columns = (has_gaps || n_columns == 1) && rows->strides[0] == size &&
                           table->strides[0] == size;
    if (by_columns && size == 4) {
        TAKE_COLUMNS(float)
    } else if (by_columns && size == 8) {
        TAKE_COLUMNS(double)
    } else if (has_gaps) {
        for (int64_t i = first; i < end; i++)
            for (int64_t j = 0; j < n_columns; j++)
                memcpy(rows->start + i * rows->strides[0] + j * rows->strides[1],
                       table->start + INDEX(i) * table->strides[0] + j * table->strides[1], (size_t)size);
    } else {
        const int is_far = taken->n_table * table->strides[0] > FAR_TABLE;
        for (int64_t i = first; i < end; i++) {
            if (is_far && i + ROWS_AHEAD < end) {
                const char *ahead = table->start + INDEX(i + ROWS_AHEAD) * table->strides[0];
                for (int64_t byte = 0; byte < n_bytes; byte += 64) PREFETCH(ahead + byte);
            }
            copy_row(rows->start + i * rows->strides[0],
                     table->start + INDEX(i) * table->strides[0], n_bytes);
        }
    }
}

static int rows_of_table(int64_t op, const int64_t *words, const Context *context) {
    const int64_t dtype = words[0], n_rows = words[1], n_columns = words[2], n_table = words[3];
    const int64_t size = size_of[dtype];
    Operand table, rows, indices;
    const int64_t *next = operand(words + 4, 2, context, op == TAKE ? &rows : &table);
    next = operand(next, 2, context, op == TAKE ? &table : &rows);
    operand(next, 1, context, &indices);
    int is_outside = 0;
    for (int64_t i = 0; i < n_rows; i++)
        is_outside |= *(const uint64_t *)(indices.start + i * indices.strides[0]) >= (uint64_t)n_table;
    if (is_outside) return 1;
    if (op == TAKE) {
        Taken taken = {rows, table, indices, n_rows, n_columns, n_table, size, 1};
        taken.n_parts = parts_for(context->team, n_rows * n_columns * size, TAKE_PART);
        share(context->team, take_rows, &taken, taken.n_parts, context->scratch, context->slots);
        return 0;
    }
    for (int64_t i = 0; i < n_table; i++)
        memset(table.start + i * table.strides[0], 0, (size_t)(n_columns * size));
    for (int64_t i = 0; i < n_rows; i++) {
        const int64_t index = *(const int64_t *)(indices.start + i * indices.strides[0]);
        char *of_table = table.start + index * table.strides[0], *row = rows.start + i * rows.strides[0];
        if (dtype == F32)
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

static int sparse(int64_t op, const int64_t *words, const Context *context) {
    const int64_t dtype = words[0], n = words[1], m = words[2], n_table = words[3];
    const int transposed = op == SPARSE_TN;
    Operand rows, table, matrix;
    const int64_t *next = operand(words + 4, 2, context, transposed ? &table : &rows);
    next = operand(next, 2, context, transposed ? &rows : &table);
    operand(next, 1, context, &matrix);
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

/* Rows of windows, n_together at a time. */
typedef struct {
    const int64_t *geometry;
    const char *images;
    const int64_t *strides;
    Product product;
    char *patches, *scratch;
    int64_t n_together, n_chunks, n_parts;
} Windows;

/* Cut the patches of a chunk; returns how many. */
static int64_t cut_chunk(const Windows *windows, int64_t chunk, char *patches) {
    const int64_t *geometry = windows->geometry, size = size_of[windows->product.dtype];
    const int64_t n_down = geometry[10], n_across = geometry[11], n_rows = geometry[0] * n_down;
    const int64_t n_in = geometry[4] * geometry[5] * geometry[3];
    const int64_t first = chunk * windows->n_together;
    const int64_t last = first + windows->n_together < n_rows ? first + windows->n_together : n_rows;
    for (int64_t row = first; row < last; row++)
        cut_row(geometry, size, windows->images + row / n_down * windows->strides[0],
                windows->strides + 1, row % n_down, patches + (row - first) * n_across * n_in * size);
    return (last - first) * n_across;
}

static void convolve_chunks(const void *work, int64_t number, char *scratch, char *slots) {
    const Windows *windows = work;
    char *patches = scratch + (windows->patches - windows->scratch);
    const int64_t end = windows->n_chunks * (number + 1) / windows->n_parts;
    for (int64_t chunk = windows->n_chunks * number / windows->n_parts; chunk < end; chunk++) {
        Product product = windows->product;
        product.a = patches;
        product.out += chunk * windows->n_together * windows->geometry[11] * product.so[0];
        product.n = cut_chunk(windows, chunk, patches);
        multiply_part(&product, slots);
    }
}

static void convolve(int64_t op, const int64_t *words, const Context *context) {
    const int64_t dtype = words[0], n_axes = words[1], *lengths = words + 2, size = size_of[dtype];
    const int64_t *geometry = lengths + n_axes, *rest = geometry + GEOMETRY;
    const int64_t n_out = rest[0], n_together = rest[1];
    const int64_t n_in = geometry[4] * geometry[5] * geometry[3];
    const int64_t n_windows = geometry[0] * geometry[10] * geometry[11];
    const int64_t packed[2] = {n_in * size, size}, turned[2] = {size, n_in * size};
    int64_t place[MAX_AXES] = {0};
    Operand out, images, other, patches;
    const int64_t *next = operand(rest + 2, n_axes + 2, context, &out);
    next = operand(next, n_axes + 4, context, &images);
    next = operand(next, n_axes + 2, context, &other);
    operand(next, 1, context, &patches);
    /* Each thread has patches of its own where they are in scratch. */
    Team *team = next[0] == 0 ? context->team : NULL;
    Windows windows = {
        .geometry = geometry, .strides = images.strides + n_axes, .patches = patches.start,
        .scratch = context->scratch, .n_together = n_together,
        .n_chunks = (geometry[0] * geometry[10] + n_together - 1) / n_together,
    };
    windows.n_parts = parts_for(team, n_windows * n_in * n_out, PRODUCT_PART);
    if (windows.n_parts > windows.n_chunks) windows.n_parts = windows.n_chunks;
    do {
        char *factor = other.start + distance(n_axes, place, other.strides);
        windows.images = images.start + distance(n_axes, place, images.strides);
        Product *product = &windows.product;
        *product = (Product){
            .blas = context->blas, .dtype = dtype, .m = n_out, .a = patches.start, .sa = packed,
            .out = out.start + distance(n_axes, place, out.strides), .so = out.strides + n_axes,
            .b = factor, .sb = other.strides + n_axes, .inner = n_in,
        };
        if (op == CONVOLVE) {
            share(team, convolve_chunks, &windows, windows.n_parts, context->scratch, context->slots);
            continue;
        }
        product->n = n_in, product->sa = turned;
        for (int64_t chunk = 0; chunk < windows.n_chunks; chunk++) {
            product->inner = cut_chunk(&windows, chunk, patches.start);
            product->b = factor + chunk * n_together * geometry[11] * product->sb[0];
            product->adds = chunk > 0;
            multiply(product, context);
        }
    } while (advance(n_axes, lengths, place));
}

/* ---- Programs ---- */

static int run_code(const int64_t *code, const Context *context) {
    const int64_t n_instructions = code[4], *words = code + HEADER + 2 * code[2];
    for (int64_t i = 0; i < n_instructions; i++, words += words[1]) {
        switch (words[0]) {
        case RUN: run_steps(words + 2, context); break;
        case REDUCE: reduce(words + 2, context); break;
        case MATMUL: matmul(words + 2, context); break;
        case CONVOLVE:
        case CONVOLVE_WEIGHTS: convolve(words[0], words + 2, context); break;
        case SPARSE:
        case SPARSE_TN:
            if (sparse(words[0], words + 2, context)) return 1;
            break;
        default:
            if (rows_of_table(words[0], words + 2, context)) return 1;
        }
    }
    return 0;
}

int INTERPRETER(const Task *tasks, int64_t n_tasks, int64_t first_model, int64_t last_model,
                char *scratch, char *slots, const Blas *blas, Team *team) {
    for (int64_t first = 0, last; first < n_tasks; first = last) {
        const int64_t n_models = tasks[first].code[1], end = last_model < n_models ? last_model : n_models;
        for (last = first + 1; last < n_tasks && tasks[last].code[1] == n_models;) last++;
        for (int64_t k = first_model; k < end; k++)
            for (int64_t t = first; t < last; t++) {
                const Context context = {tasks[t].places, k, scratch, slots, blas, team};
                if (run_code(tasks[t].code, &context)) return 1;
            }
    }
    return 0;
}
