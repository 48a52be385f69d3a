#include "draws.h"

#include <string.h>

#include "pcg64.h"

/* Words that are drawn at a time. */
#define AHEAD 512

/* The words of a generator: those that are drawn already, and what its state was before them. */
typedef struct {
    State *state;
    unsigned char before[32];
    int64_t next;
    uint64_t words[AHEAD];
} Stream;

static void begin(Stream *stream, State *state) { stream->state = state, stream->next = AHEAD; }

static int refill(Stream *stream) {
    memcpy(stream->before, stream->state->numbers, sizeof stream->before);
    stream->next = 0;
    return pcg64_words(stream->state->numbers, AHEAD, stream->words);
}

/* Leave the state as it is after the words that were used. */
static void end(Stream *stream) {
    if (stream->next == AHEAD) return;
    memcpy(stream->state->numbers, stream->before, sizeof stream->before);
    pcg64_words(stream->state->numbers, stream->next, stream->words);
}

static void at_least(const char *restrict bits, uint16_t level, int64_t n, unsigned char *restrict out) {
    for (int64_t i = 0; i < n; i++) {
        uint16_t each;
        memcpy(&each, bits + 2 * i, sizeof each);
        out[i] = each >= level;
    }
}

static int draw_bits(Stream *stream, int64_t level, int64_t n, unsigned char *out) {
    while (n > 0) {
        if (stream->next == AHEAD && !refill(stream)) return 0;
        const int64_t there = 4 * (AHEAD - stream->next), some = n < there ? n : there;
        at_least((const char *)(stream->words + stream->next), (uint16_t)level, some, out);
        stream->next += (some + 3) / 4;
        out += some, n -= some;
    }
    return 1;
}

/* As NumPy shuffles: each element changes places with one of those up to it, which is drawn by masked
   rejection from halves of words, the lower first. */
static int draw_order(Stream *stream, const int64_t *rows, int64_t n, int64_t *out) {
    uint64_t mask = 1;
    while (mask < (uint64_t)n) mask = mask << 1 | 1;
    for (int64_t i = 0; i < n; i++) out[i] = i;
    State *state = stream->state;
    for (int64_t i = n - 1; i > 0;) {
        uint64_t drawn = state->half;
        if (!state->has_half) {
            if (stream->next == AHEAD && !refill(stream)) return 0;
            const uint64_t word = stream->words[stream->next++];
            drawn = (uint32_t)word;
            state->half = (uint32_t)(word >> 32);
        }
        state->has_half = !state->has_half;
        while (mask >> 1 >= (uint64_t)i) mask >>= 1;
        /* What is too large changes nothing: a branch would be guessed wrong too often. */
        const int64_t place = (int64_t)(drawn & mask), fits = place <= i;
        const int64_t other = fits ? place : i, moved = out[i];
        out[i] = out[other];
        out[other] = moved;
        i -= fits;
    }
    for (int64_t i = 0; rows && i < n; i++) out[i] = rows[out[i]];
    return 1;
}

int draw_all(State *states, const Draw *draws, int64_t n_draws) {
    Stream stream;
    int is_done = 1;
    for (int64_t i = 0; is_done && i < n_draws;) {
        const int64_t generator = draws[i].generator;
        begin(&stream, states + generator);
        for (; is_done && i < n_draws && draws[i].generator == generator; i++) {
            const Draw *draw = draws + i;
            if (draw->kind == ORDER)
                is_done = draw_order(&stream, draw->of.rows, draw->n, (int64_t *)draw->out);
            else if (draw->kind == BITS)
                is_done = draw_bits(&stream, draw->of.level, draw->n, (unsigned char *)draw->out);
            else
                memset(draw->out, 1, (size_t)draw->n);
        }
        end(&stream);
    }
    return is_done;
}
