/* Convolutions, and their kernels.

A convolution is a sum of steps. In a step, what lies at one place beside each of 16 neighbouring positions, 32
consecutive numbers of a row of pixels, is multiplied by 32 × 16 factors of the kernel. A transposed convolution that
doubles is four convolutions (phases), one for the even or odd rows and columns each. The input is worked on in strips
of rows, which are padded and taken apart into a buffer that stays in the processor's own cache; on the way there each
channel may be scaled, shifted and activated.

Tensors are (batch, height, width, channels), in float32. Channels are counted in sixteens. */

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "activation.h"
#include "split.h"

enum {
    GROUP = 4,             /* tiles of positions for which a tile of the kernel is loaded once */
    STRIP_BYTES = 1 << 19, /* of a strip's buffer */
    APART = 64,            /* from so many channels on, a line of the cache lies between two pixels: */
    GAP = 32,              /* without it, they would all be kept in the same few places of the cache */
};

typedef struct {
    const float *data;
    const float *scale, *shift; /* of each channel, or NULL */
    int32_t n_channels;
    Activation activation; /* applied to scale · x + shift */
} Input;

typedef struct {
    int32_t row, column, channel; /* where its numbers lie, from the first pixel that a position takes in */
    struct { int32_t row, column, channel; } factors[2]; /* of the kernel, for each half; none: row -1 */
} Step;

typedef struct {
    int32_t n_parts;             /* that numbers are taken apart into */
    int32_t n_inputs, n_outputs; /* channels */
    int32_t stride;              /* rows and columns of the input from a position to the next */
    int32_t padding;             /* zeros before the first row and column */
    int32_t reach;               /* rows and columns that a position takes in */
    int32_t factor;              /* rows and columns of the output for a position */
    int32_t turns_output;        /* whether the output is turned round in both */
    Activation activation;       /* of the output */
    const int32_t *n_steps;      /* of each phase */
    const Step *steps;
    const bfloat16 *kernel;      /* from `pack` */
    const float *bias;           /* of each output, or NULL */
} Convolution;

typedef struct {
    int32_t batch, height, width; /* of the input */
    int32_t n_down, n_across;     /* positions */
} Size;

/* How a strip lies in its buffer: numbers from a pixel, row or part to the next. */
typedef struct {
    int64_t pixel, row, part;
} Layout;

/* What the library was compiled from: the checksum of its sources. */
uint32_t sources(void) { return SOURCES; }

/* Ask the system for the use of AMX; whether it is granted. */
int32_t allow(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* Take some pixels of an input apart, from `first` on, into the first channels at `to`. */
static void take_apart(const Input *input, int64_t first, int32_t n_pixels, int32_t n_parts, Layout layout,
                       bfloat16 *to) {
    const Activation activation = input->activation;
    for (int32_t channel = 0; channel < input->n_channels; channel += LANES) {
        const __m512 scale = input->scale ? _mm512_loadu_ps(input->scale + channel) : _mm512_set1_ps(1);
        const __m512 shift = input->shift ? _mm512_loadu_ps(input->shift + channel) : _mm512_setzero_ps();
        const float *from = input->data + first * input->n_channels + channel;
        for (int64_t pixel = 0; pixel < n_pixels; pixel++, from += input->n_channels) {
            const __m512 x = activated(_mm512_fmadd_ps(_mm512_loadu_ps(from), scale, shift), activation);
            put_parts(x, n_parts, layout.part, to + pixel * layout.pixel + channel);
        }
    }
}

/* Fill the buffer of a strip with some rows of a song's inputs, the first of which may lie before the song's. */
static void fill(const Convolution *conv, const Input *inputs, int32_t n_inputs, Size size, int32_t song,
                 int32_t first, int32_t n_rows, Layout layout, bfloat16 *buffer) {
    const int64_t before = conv->padding * layout.pixel, after = before + size.width * layout.pixel;
    for (int32_t row = 0; row < n_rows; row++) {
        bfloat16 *to = buffer + row * layout.row;
        const int32_t y = first + row;
        const int is_within = 0 <= y && y < size.height;
        for (int32_t part = 0; part < conv->n_parts; part++) {
            bfloat16 *begin = to + part * layout.part;
            memset(begin, 0, sizeof *begin * (is_within ? before : layout.row));
            if (is_within && after < layout.row) memset(begin + after, 0, sizeof *begin * (layout.row - after));
        }
        to += before;
        for (int32_t i = 0; i < n_inputs && is_within; i++) {
            const int64_t pixel = ((int64_t)song * size.height + y) * size.width;
            take_apart(&inputs[i], pixel, size.width, conv->n_parts, layout, to);
            to += inputs[i].n_channels;
        }
    }
}

/* The sums over all steps for four tiles of positions: 16 positions × 16 outputs each.

Tiles 0 to 3 hold the sums, 4 a part of the kernel, 5 and 6 parts of the positions' numbers. Four sums in turn, for
each takes several times as long to be complete as to be begun. */
static void sum_steps(int32_t n_parts, const bfloat16 *const *positions, int64_t spacing, int64_t distance,
                      const int32_t *offsets, int32_t n_steps, const bfloat16 *kernel, float *sums) {
    const bfloat16 *a = positions[0], *b = positions[1], *c = positions[2], *d = positions[3];
    finish_writing();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int32_t step = 0; step < n_steps; step++)
        for (int32_t part = 0; part < n_parts; part++, kernel += TILE) {
            int64_t offset = offsets[step];
            _tile_loadd(4, kernel, 64);
            for (int32_t other = 0; part + other < n_parts; other++, offset += distance) {
                _tile_loadd(5, a + offset, spacing);
                _tile_dpbf16ps(0, 5, 4);
                _tile_loadd(6, b + offset, spacing);
                _tile_dpbf16ps(1, 6, 4);
                _tile_loadd(5, c + offset, spacing);
                _tile_dpbf16ps(2, 5, 4);
                _tile_loadd(6, d + offset, spacing);
                _tile_dpbf16ps(3, 6, 4);
            }
        }
    _tile_stored(0, sums, 64);
    _tile_stored(1, sums + LANES * LANES, 64);
    _tile_stored(2, sums + 2 * LANES * LANES, 64);
    _tile_stored(3, sums + 3 * LANES * LANES, 64);
}

/* Write the outputs, from the channel `first` on, of some neighbouring positions of a phase. */
static void put_out(const Convolution *conv, Size size, int32_t song, int32_t y, int32_t x, int32_t phase,
                    int32_t first, const float *sums, float *output) {
    const int32_t factor = conv->factor;
    const int64_t height = (int64_t)size.n_down * factor, width = (int64_t)size.n_across * factor;
    int64_t row = y * factor + phase / factor, column = x * factor + phase % factor, step = factor;
    if (conv->turns_output) {
        row = height - 1 - row;
        column = width - 1 - column;
        step = -step;
    }
    float *to = output + ((song * height + row) * width + column) * conv->n_outputs + first;
    const __m512 bias = conv->bias ? _mm512_loadu_ps(conv->bias + first) : _mm512_setzero_ps();
    const int64_t n = least(LANES, size.n_across - x);
    for (int64_t i = 0; i < n; i++, sums += LANES, to += step * conv->n_outputs)
        _mm512_storeu_ps(to, activated(_mm512_add_ps(_mm512_load_ps(sums), bias), conv->activation));
}

/* Compute some tiles of outputs for the rows of positions from `top` to `bottom`, whose strip is in the buffer. */
static void compute(const Convolution *conv, Size size, int32_t song, int32_t top, int32_t bottom, int32_t first_tile,
                    int32_t last_tile, Layout layout, const bfloat16 *buffer, const int32_t *offsets, float *output) {
    float sums[GROUP * LANES * LANES] __attribute__((aligned(64)));
    const int32_t across = quotient_up(size.n_across, LANES), n_tiles = (bottom - top) * across;
    const int64_t spacing = conv->stride * layout.pixel * sizeof *buffer;
    const bfloat16 *kernel = conv->kernel;
    for (int32_t phase = 0; phase < conv->factor * conv->factor; phase++) {
        const int32_t n_steps = conv->n_steps[phase];
        const int64_t panel = (int64_t)n_steps * conv->n_parts * TILE;
        for (int32_t tile = first_tile; tile < last_tile; tile++)
            for (int32_t begin = 0; begin < n_tiles; begin += GROUP) {
                const bfloat16 *positions[GROUP], *of_tile = kernel + tile * panel;
                for (int32_t i = 0; i < GROUP; i++) { /* beyond the last, the last again */
                    const int32_t at = least(begin + i, n_tiles - 1);
                    positions[i] = buffer + at / across * conv->stride * layout.row
                                   + at % across * LANES * conv->stride * layout.pixel;
                }
                sum_steps(conv->n_parts, positions, spacing, layout.part, offsets, n_steps, of_tile, sums);
                for (int32_t at = begin; at < least(begin + GROUP, n_tiles); at++)
                    put_out(conv, size, song, top + at / across, at % across * LANES, phase, tile * LANES,
                            sums + (at - begin) * LANES * LANES, output);
            }
        kernel += conv->n_outputs / LANES * panel;
        offsets += n_steps;
    }
}

/* Convolve inputs, whose channels are taken as side by side, by `n_threads` threads.

Returns 0 only if there is no memory for the strips. */
int32_t convolve(const Convolution *conv, const Input *inputs, int32_t n_inputs, const Size *size, float *output,
                 int32_t n_threads) {
    const int32_t n_tiles = conv->n_outputs / LANES, across = quotient_up(size->n_across, LANES);
    const int64_t n_pixels = (int64_t)(across * LANES - 1) * conv->stride + conv->reach;
    Layout layout = {.pixel = conv->n_inputs + (conv->n_inputs >= APART && conv->n_inputs % GAP == 0 ? GAP : 0)};
    layout.row = (n_pixels + 1) * layout.pixel; /* one more, for the last step may begin with the last sixteen */
    const int64_t held = STRIP_BYTES / (conv->n_parts * (int64_t)sizeof(bfloat16) * layout.row);
    const int64_t fitting = held > conv->reach ? (held - conv->reach) / conv->stride + 1 : 1;
    const int32_t depth = least(fitting, size->n_down); /* rows of positions of a strip */
    layout.part = ((depth - 1) * conv->stride + conv->reach) * layout.row;
    const int32_t n_strips = quotient_up(size->n_down, depth);
    const int32_t n_shares = size->batch * n_strips >= 2 * n_threads ? 1 : least(n_threads, n_tiles);
    const int32_t n_tasks = size->batch * n_strips * n_shares;
    int32_t n_offsets = 0, is_done = 1;
    for (int32_t phase = 0; phase < conv->factor * conv->factor; phase++) n_offsets += conv->n_steps[phase];

#pragma omp parallel num_threads(n_threads)
    {
        const int64_t bytes = conv->n_parts * layout.part * sizeof(bfloat16);
        bfloat16 *buffer = aligned_alloc(64, quotient_up(bytes, 64) * 64);
        int32_t *offsets = malloc(n_offsets * sizeof *offsets);
        if (buffer && offsets) {
            for (int32_t i = 0; i < n_offsets; i++) {
                const Step *step = &conv->steps[i];
                offsets[i] = step->row * layout.row + step->column * layout.pixel + step->channel;
            }
            configure_tiles();
            for (int32_t task = omp_get_thread_num(); task < n_tasks; task += omp_get_num_threads()) {
                const int32_t share = task % n_shares, strip = task / n_shares % n_strips;
                const int32_t song = task / n_shares / n_strips;
                const int32_t top = strip * depth, bottom = least(top + depth, size->n_down);
                const int32_t n_rows = (bottom - top - 1) * conv->stride + conv->reach;
                fill(conv, inputs, n_inputs, *size, song, top * conv->stride - conv->padding, n_rows, layout, buffer);
                compute(conv, *size, song, top, bottom, n_tiles * share / n_shares, n_tiles * (share + 1) / n_shares,
                        layout, buffer, offsets, output);
            }
            _tile_release();
        } else {
#pragma omp atomic write
            is_done = 0;
        }
        free(buffer);
        free(offsets);
    }
    return is_done;
}

/* Lay a kernel out for `convolve`: for each phase, tile of 16 outputs and step, its parts, a tile each.

`strides` are the numbers from one to the next of the kernel's rows, columns, inputs and outputs. */
void pack(const Convolution *conv, const float *weight, const int64_t *strides, bfloat16 *kernel, int32_t n_threads) {
    const int32_t n_tiles = conv->n_outputs / LANES, n_parts = conv->n_parts;
    const __m512i outputs = lanes_apart(strides[3]);
    const Step *steps = conv->steps;
    for (int32_t phase = 0; phase < conv->factor * conv->factor; phase++) {
        const int32_t n_steps = conv->n_steps[phase];
#pragma omp parallel for num_threads(n_threads)
        for (int32_t i = 0; i < n_tiles * n_steps; i++) {
            const Step *step = &steps[i % n_steps];
            for (int32_t pair = 0; pair < LANES; pair++) {
                const int32_t half = 2 * pair / LANES;
                __m512 even = _mm512_setzero_ps(), odd = even;
                if (step->factors[half].row >= 0) {
                    const int64_t input = step->factors[half].channel + 2 * pair % LANES;
                    const float *from = weight + step->factors[half].row * strides[0]
                                        + step->factors[half].column * strides[1] + input * strides[2]
                                        + i / n_steps * LANES * strides[3];
                    even = _mm512_i32gather_ps(outputs, from, 4);
                    odd = _mm512_i32gather_ps(outputs, from + strides[2], 4);
                }
                put_pair(even, odd, n_parts, kernel + (int64_t)i * n_parts * TILE + pair * DEPTH);
            }
        }
        steps += n_steps;
        kernel += (int64_t)n_tiles * n_steps * n_parts * TILE;
    }
}
