/* Codes are checked before they run: nothing is read or written outside of what they say they use. */

#include "check.h"

#include <string.h>

static const int64_t size_of[N_DTYPES] = {4, 8, 1, 8};

typedef struct {
    const int64_t *words, *end, *limits;
    int64_t n_models, n_buffers, n_scratch;
    int wants_addresses;
    const char *problem;
} Checked;

static int refuse(Checked *c, const char *problem) {
    if (!c->problem) c->problem = problem;
    return 0;
}

/* Sizes and strides are small enough for sums of some products of theirs. */
#define LARGEST ((int64_t)1 << 55)

static int add_reach(int64_t stride, int64_t length, int64_t *low, int64_t *high) {
    if (stride > LARGEST || stride < -LARGEST) return 0;
    if (stride && length - 1 > LARGEST / (stride < 0 ? -stride : stride)) return 0;
    const int64_t reach = stride * (length - 1);
    if (reach < 0) *low += reach;
    else *high += reach;
    return *low > -LARGEST && *high < LARGEST;
}

/* An operand of n axes, with items of so many bytes. */
static const int64_t *check_reach(Checked *c, const int64_t *words, int64_t n_axes,
                                    const int64_t *lengths, int64_t size) {
    if (c->end - words < 3 + n_axes) return refuse(c, "an operand is cut off"), NULL;
    const int64_t buffer = words[0], offset = words[1];
    int64_t low = offset, high = offset;
    if (buffer < 0 || buffer >= c->n_buffers) return refuse(c, "there is no such buffer"), NULL;
    if (offset > LARGEST || offset < -LARGEST) return refuse(c, "an offset is too large"), NULL;
    const int64_t lowest = c->limits[2 * buffer];
    if (c->wants_addresses != (lowest == OF_ADDRESSES))
        return refuse(c, "numbers are taken for addresses, or these for numbers"), NULL;
    if (buffer == 0 && words[2] != 0) return refuse(c, "own memory is of one model"), NULL;
    int fits = add_reach(words[2], c->n_models, &low, &high);
    for (int64_t i = 0; i < n_axes; i++) fits = fits && add_reach(words[3 + i], lengths[i], &low, &high);
    if (!fits || low < (c->wants_addresses ? 0 : lowest) || high + size > c->limits[2 * buffer + 1])
        return refuse(c, "an operand reaches beyond its buffer"), NULL;
    return words + 3 + n_axes;
}

/* An operand of n axes, with elements of so many bytes, which do not lie between two others. */
static const int64_t *check_operand(Checked *c, const int64_t *words, int64_t n_axes,
                                    const int64_t *lengths, int64_t size) {
    const int64_t *next = check_reach(c, words, n_axes, lengths, size);
    for (int64_t i = 1; next && i < 3 + n_axes; i++)
        if (words[i] % size) return refuse(c, "an address is none of an element"), NULL;
    return next;
}

static int check_lengths(Checked *c, const int64_t *words, int64_t n) {
    if (n < 0 || n > MAX_AXES) return refuse(c, "there are too many axes");
    if (c->end - words < n) return refuse(c, "lengths are cut off");
    for (int64_t i = 0; i < n; i++)
        if (words[i] < 1 || words[i] > LARGEST) return refuse(c, "a length is not positive");
    return 1;
}

static int is_dtype(int64_t dtype) { return dtype >= 0 && dtype < N_DTYPES; }

static int check_run(Checked *c, const int64_t *words) {
    if (c->end - words < 1) return refuse(c, "a run is cut off");
    const int64_t n_axes = words[0], *lengths = words + 1;
    if (n_axes < 2) return refuse(c, "a run has two axes at least");
    if (!check_lengths(c, lengths, n_axes)) return 0;
    const int64_t *rest = lengths + n_axes;
    if (c->end - rest < 4) return refuse(c, "a run is cut off");
    const int64_t n_registers = rest[0], n_slots = rest[1], n_steps = rest[2], n_elements = rest[3];
    if (n_registers < 1 || n_registers > MAX_REGISTERS) return refuse(c, "registers are too many");
    if (n_slots < 0 || n_slots > N_SLOTS) return refuse(c, "slots are too many");
    if (n_elements < 1 || n_elements > TILE_BYTES) return refuse(c, "elements are too many");
    int64_t dtypes[MAX_REGISTERS], kinds[MAX_REGISTERS], columns[MAX_REGISTERS], rows[MAX_REGISTERS];
    const int64_t *next = rest + 4;
    for (int64_t i = 0; i < n_registers; i++, next += 5 + n_axes) {
        if (c->end - next < 5 + n_axes) return refuse(c, "a register is cut off");
        if (!is_dtype(next[1])) return refuse(c, "there is no such dtype");
        kinds[i] = next[0];
        dtypes[i] = next[1];
        columns[i] = rows[i] = size_of[next[1]];
        if (next[0] == SLOT) {
            if (next[2] < 0 || next[2] >= n_slots) return refuse(c, "there is no such slot");
            if (n_elements * size_of[next[1]] > TILE_BYTES) return refuse(c, "a slot is too small");
        } else if (next[0] == NUMBER) {
            columns[i] = 0;
        } else if (next[0] == IN_MEMORY) {
            if (!check_operand(c, next + 2, n_axes, lengths, size_of[next[1]])) return 0;
            columns[i] = next[5 + n_axes - 1];
            rows[i] = next[5 + n_axes - 2];
        } else {
            return refuse(c, "there is no such kind of register");
        }
    }
    if (n_steps < 1 || (c->end - next) / 6 < n_steps) return refuse(c, "steps are cut off");
    for (int64_t i = 0; i < n_steps; i++, next += 6) {
        const int64_t function = next[0], dtype = next[1];
        if (function < 0 || function >= N_FUNCTIONS || !is_dtype(dtype) ||
            (function != COPY && !has_function(function, dtype)))
            return refuse(c, "there is no such function");
        for (int j = 2; j < 6; j++)
            if (next[j] < 0 || next[j] >= n_registers) return refuse(c, "there is no such register");
        for (int j = 2; j < 6; j++) {
            const int64_t r = next[j], size = size_of[dtypes[r]];
            if (function != COPY && lengths[n_axes - 1] > 1 && columns[r] != size &&
                (columns[r] != 0 || j == 2))
                return refuse(c, "a function's columns have gaps");
        }
        if (kinds[next[2]] == NUMBER) return refuse(c, "a number is written to");
        if (columns[next[2]] == 0 &&
            (lengths[n_axes - 1] > 1 || (rows[next[2]] == 0 && lengths[n_axes - 2] > 1)))
            return refuse(c, "a result is written to one place");
        const int64_t result = is_test(function) ? BOOL : dtype;
        const int64_t first = takes_condition(function) ? BOOL : dtype;
        if ((function != COPY && dtypes[next[2]] != result) || dtypes[next[3]] != first)
            return refuse(c, "a function's dtypes differ from its registers'");
        if (function != COPY && (dtypes[next[4]] != dtype || dtypes[next[5]] != dtype))
            if (n_inputs(function) > 1) return refuse(c, "a function's dtypes differ from its registers'");
    }
    return next == c->end || refuse(c, "there are words after a run");
}

static int check_reduce(Checked *c, const int64_t *words) {
    if (c->end - words < 4) return refuse(c, "a reduction is cut off");
    const int64_t kind = words[0], dtype = words[1], n_kept = words[2], n_reduced = words[3];
    if (kind < 0 || kind >= N_KINDS || !is_dtype(dtype)) return refuse(c, "there is no such reduction");
    if (n_kept < 0 || n_kept > MAX_AXES || n_reduced < 0 || n_reduced > MAX_AXES - n_kept)
        return refuse(c, "there are too many axes");
    const int64_t n = n_kept + n_reduced, *lengths = words + 4;
    if (!check_lengths(c, lengths, n)) return 0;
    const int64_t *next = check_operand(c, lengths + n, n_kept, lengths, size_of[dtype]);
    for (int i = 0; next && i < 2; i++) next = check_operand(c, next, n, lengths, size_of[dtype]);
    return next && (next == c->end || refuse(c, "there are words after a reduction"));
}

/* One of the last two axes has no gaps, and the other does not overlap. */
static int is_matrix(const int64_t *strides, int64_t n_rows, int64_t n_columns, int64_t size) {
    const int64_t s = strides[0], t = strides[1];
    if (s % size || t % size) return 0;
    const int by_rows = (t == size || n_columns == 1) && (n_rows == 1 || s >= n_columns * size);
    const int by_columns = (s == size || n_rows == 1) && (n_columns == 1 || t >= n_rows * size);
    return (by_rows || by_columns) && s / size <= INT32_MAX && t / size <= INT32_MAX;
}

static int check_matmul(Checked *c, const int64_t *words) {
    if (c->end - words < 2) return refuse(c, "a product is cut off");
    const int64_t dtype = words[0], n_axes = words[1], *lengths = words + 2;
    if (dtype != F32 && dtype != F64) return refuse(c, "products are of floats");
    if (n_axes < 0 || n_axes > MAX_AXES - 2) return refuse(c, "there are too many axes");
    if (!check_lengths(c, lengths, n_axes)) return 0;
    const int64_t *size = lengths + n_axes;
    if (!check_lengths(c, size, 3)) return 0;
    for (int i = 0; i < 3; i++)
        if (size[i] > INT32_MAX) return refuse(c, "a matrix is too large");
    if (c->end - size < 6 || size[3] < 0 || size[3] > 1)
        return refuse(c, "a product has one term at most");
    if (size[4] < 0 || size[4] > size[3]) return refuse(c, "a term is added so many times, or once");
    if (size[5] != COPY && size[5] != RELU && size[5] != RELU_GRADIENT)
        return refuse(c, "a product has no such function");
    const int64_t of_out[2] = {size[0], size[2]};
    const int64_t of_a[2] = {size[0], size[1]}, of_b[2] = {size[1], size[2]};
    const int64_t *shapes[6] = {of_out, of_a, of_b, of_out, of_out, of_out};
    const int64_t *next = size + 6, *of_result = next + 3 + n_axes;
    const int64_t n_terms = size[3] + size[4];
    const int n_operands = 3 + (int)n_terms + (size[5] == RELU_GRADIENT);
    for (int i = 0; i < n_operands; i++) {
        int64_t whole[MAX_AXES];
        memcpy(whole, lengths, (size_t)n_axes * sizeof *whole);
        memcpy(whole + n_axes, shapes[i], sizeof of_out);
        const int64_t *strides = next + 3 + n_axes;
        next = check_operand(c, next, n_axes + 2, whole, size_of[dtype]);
        if (!next) return 0;
        if (i < 3 && !is_matrix(strides, shapes[i][0], shapes[i][1], size_of[dtype]))
            return refuse(c, "a matrix is not as BLAS takes it");
        if (i == 4 && size[4] && (strides[0] || strides[1]))
            return refuse(c, "elements are added more and less often");
        /* What a function asks for has its neighbours where the result has them. */
        const int along = of_result[1] == size_of[dtype] || size[2] == 1;
        if (i == 3 + n_terms && of_out[along] > 1 && strides[along] != size_of[dtype])
            return refuse(c, "a function's columns have gaps");
    }
    return next == c->end || refuse(c, "there are words after a product");
}

static int check_table(Checked *c, int64_t op, const int64_t *words) {
    if (c->end - words < 4) return refuse(c, "rows of a table are cut off");
    const int64_t dtype = words[0], *lengths = words + 1;
    const int is_sparse = op == SPARSE || op == SPARSE_TN;
    if (!is_dtype(dtype) || ((op == ADD_AT || is_sparse) && dtype > F64))
        return refuse(c, "there is no such table");
    if (!check_lengths(c, lengths, 3)) return 0;
    const int64_t rows[2] = {lengths[0], lengths[1]}, table[2] = {lengths[2], lengths[1]}, four = 4;
    const int64_t *next = words + 4;
    for (int i = 0; i < 2; i++) {
        const int is_table = (i == 0) == (op == ADD_AT || op == SPARSE_TN);
        if (op != TAKE && c->end - next >= 5 && next[4] != size_of[dtype] && lengths[1] > 1)
            return refuse(c, "a row has gaps");
        next = check_operand(c, next, 2, is_table ? table : rows, size_of[dtype]);
        if (!next) return 0;
    }
    c->wants_addresses = is_sparse;
    next = check_operand(c, next, 1, is_sparse ? &four : rows, 8);
    c->wants_addresses = 0;
    return next && (next == c->end || refuse(c, "there are words after rows of a table"));
}

static int check_convolution(Checked *c, int64_t op, const int64_t *words) {
    if (c->end - words < 2) return refuse(c, "a convolution is cut off");
    const int64_t dtype = words[0], n_axes = words[1];
    if (dtype != F32 && dtype != F64) return refuse(c, "convolutions are of floats");
    if (n_axes < 0 || n_axes > MAX_AXES - 4) return refuse(c, "there are too many axes");
    const int64_t *lengths = words + 2, *g = lengths + n_axes;
    if (!check_lengths(c, lengths, n_axes)) return 0;
    if (c->end - g < GEOMETRY + 2) return refuse(c, "a convolution is cut off");
    for (int i = 0; i < GEOMETRY + 2; i++)
        if (g[i] > INT32_MAX || g[i] < (i == 8 || i == 9 ? 0 : 1))
            return refuse(c, "a geometry is impossible");
    const int64_t n_in = g[3] * g[4], n_out = g[12], n_together = g[13], size = size_of[dtype];
    if (n_in > INT32_MAX || n_in * g[5] > INT32_MAX || g[0] * g[10] > INT32_MAX ||
        n_together > g[0] * g[10] || n_together * g[11] > INT32_MAX || g[0] * g[10] > INT32_MAX / g[11])
        return refuse(c, "a geometry is too large");
    const int64_t depth = n_in * g[5], n_rows = g[0] * g[10] * g[11];
    const int64_t rows[2] = {n_rows, n_out}, weights[2] = {depth, n_out};
    const int64_t *shapes[3] = {op == CONVOLVE ? rows : weights, g, op == CONVOLVE ? weights : rows};
    const int64_t *next = g + GEOMETRY + 2;
    for (int i = 0; i < 3; i++) {
        const int64_t n = i == 1 ? 4 : 2;
        int64_t whole[MAX_AXES];
        memcpy(whole, lengths, (size_t)n_axes * sizeof *whole);
        memcpy(whole + n_axes, shapes[i], (size_t)n * sizeof *whole);
        const int64_t *strides = next + 3 + n_axes;
        next = check_operand(c, next, n_axes + n, whole, size);
        if (!next) return 0;
        if (i == 1 ? strides[3] != size && g[3] > 1
                   : !is_matrix(strides, shapes[i][0], shapes[i][1], size))
            return refuse(c, "a matrix is not as BLAS takes it");
    }
    const int64_t together[1] = {n_together * g[11]};
    if (c->end - next == 4 && together[0] > 1 && next[3] != depth * size)
        return refuse(c, "patches are apart");
    if (c->end - next > 1 && next[1] % size) return refuse(c, "patches lie between elements");
    next = check_reach(c, next, 1, together, depth * size);
    return next && (next == c->end || refuse(c, "there are words after a convolution"));
}

const char *check_code(const int64_t *code, int64_t n_words) {
    if (n_words < HEADER || code[0] != n_words) return "its length is not what it says";
    if (code[1] < 1 || code[1] > LARGEST) return "it has no models";
    if (code[2] < 1 || code[2] > (n_words - HEADER) / 2) return "its buffers are cut off";
    if (code[3] < 0 || code[3] > LARGEST || code[4] < 0) return "its memory is impossible";
    Checked c = {0};
    c.limits = code + HEADER;
    c.n_models = code[1], c.n_buffers = code[2], c.n_scratch = code[3];
    if (c.limits[0] != 0 || c.limits[1] != c.n_scratch) return "its own memory is not what it says";
    const int64_t *words = c.limits + 2 * c.n_buffers, *end = code + n_words;
    for (int64_t i = 0; i < code[4]; i++) {
        if (end - words < 2 || words[1] < 2 || words[1] > end - words) return "an instruction is cut off";
        c.words = words, c.end = words + words[1];
        int fits;
        switch (words[0]) {
        case RUN: fits = check_run(&c, words + 2); break;
        case REDUCE: fits = check_reduce(&c, words + 2); break;
        case MATMUL: fits = check_matmul(&c, words + 2); break;
        case CONVOLVE:
        case CONVOLVE_WEIGHTS: fits = check_convolution(&c, words[0], words + 2); break;
        case TAKE:
        case ADD_AT:
        case SPARSE:
        case SPARSE_TN: fits = check_table(&c, words[0], words + 2); break;
        default: return "there is no such instruction";
        }
        if (!fits) return c.problem;
        words = c.end;
    }
    return words == end ? NULL : "there are words after the last instruction";
}

int is_test(int64_t function) {
    return function == ISFINITE || function == LOGICAL_NOT ||
           (function >= GREATER && function <= LOGICAL_OR);
}

int takes_condition(int64_t function) {
    return function == WHERE || function == MULTIPLY_CONDITION;
}

int n_inputs(int64_t function) {
    return function >= WHERE ? 3 : function >= ADD ? 2 : 1;
}

int has_function(int64_t function, int64_t dtype) {
    const int is_float = dtype == F32 || dtype == F64;
    switch (function) {
    case LOGICAL_NOT: case LOGICAL_AND: case LOGICAL_OR: return dtype == BOOL;
    case EQUAL: case NOT_EQUAL: case WHERE: return 1;
    case NEGATIVE: case ABS: case SQUARE: case ADD: case SUBTRACT: case MULTIPLY: case LARGER:
    case SMALLER: case GREATER: case GREATER_EQUAL: case LESS: case LESS_EQUAL:
        return is_float || dtype == I64;
    default: return is_float;
    }
}
