/* Programs as words, and where their arrays are.

   A code is a list of 64-bit words:

     n_words, n_models, n_buffers, n_scratch, n_instructions,
     low, high for each buffer,
     instructions

   Buffer 0 is memory of the interpreter's own, n_scratch bytes, for one model at a time. What is in
   bytes [low, high) from the start of a buffer may be used, for all models together. Where low is
   OF_ADDRESSES, it is what the host knows of sparse matrices, from 0 to high, for SPARSE alone.

   An operand is buffer, offset, stride of models, stride of each axis; in bytes. An instruction is

     op, n_words, ...

     RUN        n_axes, length of each, n_registers, n_slots, n_steps, n_elements,
                registers: kind, dtype, operand of n_axes axes | bits of a number | slot
                steps:     function, dtype, out, a, b, c (registers)
     REDUCE     kind, dtype, n_kept, n_reduced, lengths of both, out (kept), in (both), in (both)
     MATMUL     dtype, n_axes, lengths of them, n, inner, m, n_terms, n_times, function, out, a, b
                (n_axes and two more), a term that is added where n_terms is 1, how many times where
                n_times is 1 (the same for all elements), and where the function is RELU_GRADIENT
                what it asks for; else it is RELU, or COPY
     TAKE       dtype, n_rows, n_columns, n_table, out, table, indices
     ADD_AT     the same: out is the table, then rows, indices
     SPARSE     dtype, n_rows, n_columns, n_table, out, table, matrix: rows of zeros but for few
                numbers, times the table; the matrix is four words: where its numbers are, their
                columns, and the beginnings of rows in these; and the bytes of an index
     SPARSE_TN  the same, transposed: out is the table, then rows, matrix
     CONVOLVE   dtype, n_axes, lengths of them, a geometry, n_out, n_together,
                out (n_axes and 2), images (n_axes and 4), weights (n_axes and 2), patches (1)
     CONVOLVE_WEIGHTS
                the same: out is the weights, the last but one is the rows

   A geometry is n_images, height, width, n_channels, high, wide (of a window), stride down and
   across, padding above and on the left, n_down, n_across (windows). The patches of n_together rows
   of windows are made at a time.

   A run's steps are done for n_elements elements after the other, which stay in the first-level
   cache; what is in slots is never anywhere else. */

#ifndef SKOPT_DL_INTERPRETER_H
#define SKOPT_DL_INTERPRETER_H

#include <stddef.h>
#include <stdint.h>

#include "team.h"

#define MAX_AXES 8
#define MAX_REGISTERS 256
#define HEADER 5
#define GEOMETRY 12
#define OF_ADDRESSES (-((int64_t)1 << 60))

enum { RUN = 1, REDUCE, MATMUL, TAKE, ADD_AT, CONVOLVE, CONVOLVE_WEIGHTS, SPARSE, SPARSE_TN };
enum { IN_MEMORY, NUMBER, SLOT };
enum { F32, F64, BOOL, I64, N_DTYPES };
enum { SUM, MAXIMUM, MINIMUM, DOT, N_KINDS };

enum {
    COPY,
    NEGATIVE, ABS, SIGN, SQRT, SQUARE, RECIPROCAL, EXP, EXPM1, LOG, LOG1P, TANH, ERF, FLOOR, RELU,
    ISFINITE, LOGICAL_NOT,
    ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, LARGER, SMALLER,
    GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, EQUAL, NOT_EQUAL, LOGICAL_AND, LOGICAL_OR,
    RELU_GRADIENT, ROOT_ADD,
    WHERE, MULTIPLY_CONDITION, CLIP, MULTIPLY_ADD, MULTIPLY_ADD_SQUARE, DIVIDE_BY_ROOT, N_FUNCTIONS
};

/* Where a buffer begins, and which of its rows is whose; without a map, model k has row k. */
typedef struct { char *base; const int64_t *map; } Place;

typedef struct { const int64_t *code; const Place *places; } Task;

typedef void (*Sgemm)(char *, char *, int *, int *, int *, float *, float *, int *, float *, int *,
                      float *, float *, int *);
typedef void (*Dgemm)(char *, char *, int *, int *, int *, double *, double *, int *, double *,
                      int *, double *, double *, int *);
typedef struct { Sgemm s; Dgemm d; } Blas;

/* Run tasks for those of some models that they have: neighbours with as many models together, one
   after the other for one model after the other. A team, or NULL, shares what is large. Returns 0, or
   1 where an index is out of range. What is in slots is of no use afterwards. */
typedef int (*Interpreter)(const Task *tasks, int64_t n_tasks, int64_t first_model,
                           int64_t last_model, char *scratch, char *slots, const Blas *blas,
                           Team *team);

/* Bytes of the slots. */
#define TILE_BYTES 8192
#define N_SLOTS 32
#define SLOT_BYTES ((int64_t)TILE_BYTES * N_SLOTS)

#endif
