/* Convolutions on AMX as implicit GEMMs, and the packing of their kernels.

    M  output positions, 16 neighbours in a row to a tile
    N  output channels, 16 to a tile
    K  kernel taps × input channels, in blocks of 32 (implicit_gemm.py lists them)

A position is an output pixel or, of a transposed convolution with stride s, a square of s × s pixels. Each pixel of
the square is a phase, a convolution of its own with the taps that reach it. The im2col matrix is never written out:
the input is processed in strips of rows, which are padded and split into bfloat16 components in a buffer that stays
in the L2 cache, and a tile of A is loaded from there, 32 consecutive values of a row of pixels for each of 16
positions. On the way into the strip, a prologue may scale, shift and activate each channel; the epilogue adds the
bias and activates the output.

Tensors are float32 (batch, height, width, channels); channel counts are multiples of 16. */

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "activation.h"
#include "amx.h"

enum {
    M_TILES = 4,             /* tiles of positions for which a tile of the kernel is loaded once */
    STRIP_BYTES = 1 << 19,   /* of a strip's buffer */
    PADDED_CHANNELS = 64,    /* from so many channels on, a cache line of padding lies between two pixels: */
    PIXEL_PADDING = K_BLOCK, /* without it, the rows of a tile would compete for the same few cache sets */
};

typedef struct {
    const float *data;
    const float *scale, *shift; /* (channels,) of the prologue, or NULL */
    int32_t n_channels;
    Activation activation; /* of the prologue: activation(scale · x + shift) */
} ConvInput;

typedef struct {
    int32_t row, column, channel; /* where the 32 values begin, from the first pixel of a position's input patch on */
    struct { int32_t row, column, channel; } slices[2]; /* of the kernel, for each 16 values; row -1: zeros */
} KBlock;

typedef struct {
    int32_t n_components;               /* bfloat16 components of each float32: 1 or 2 */
    int32_t in_channels, out_channels;
    int32_t stride;                     /* input rows and columns from one position to the next */
    int32_t padding;                    /* zeros before the first row and column */
    int32_t patch_size;                 /* rows and columns of a position's input patch */
    int32_t upsampling;                 /* output rows and columns of a position: the stride, if transposed, else 1 */
    int32_t flip_output;                /* whether the output is flipped along both axes */
    Activation activation;              /* of the epilogue */
    const int32_t *n_k_blocks;          /* of each phase */
    const KBlock *k_blocks;             /* of all phases */
    const bfloat16 *packed_kernel;      /* from `pack_kernel` */
    const float *bias;                  /* (out_channels,), or NULL */
} ConvParams;

typedef struct {
    int32_t batch, height, width;              /* of the input */
    int32_t position_rows, position_columns;
} ConvShape;

/* Strides within a strip's buffer, in bfloat16 values. */
typedef struct {
    int64_t pixel, row, component;
} StripStrides;

/* Checksum of the sources that the library was compiled from. */
uint32_t source_checksum(void) { return SOURCES; }

/* Ask Linux for permission to use the AMX tile registers. Returns whether it is granted. */
int32_t request_amx(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* Apply the prologue to some pixels of an input, from `first` on, and store their components at `to`. */
static void pack_pixels(const ConvInput *input, int64_t first, int32_t n_pixels, int32_t n_components,
                        StripStrides strides, bfloat16 *to) {
    const Activation activation = input->activation;
    for (int32_t channel = 0; channel < input->n_channels; channel += LANES) {
        const __m512 scale = input->scale ? _mm512_loadu_ps(input->scale + channel) : _mm512_set1_ps(1);
        const __m512 shift = input->shift ? _mm512_loadu_ps(input->shift + channel) : _mm512_setzero_ps();
        const float *from = input->data + first * input->n_channels + channel;
        for (int64_t pixel = 0; pixel < n_pixels; pixel++, from += input->n_channels) {
            const __m512 x = activate(_mm512_fmadd_ps(_mm512_loadu_ps(from), scale, shift), activation);
            store_components(x, n_components, strides.component, to + pixel * strides.pixel + channel);
        }
    }
}

/* Fill a strip with rows of an item's inputs, concatenated along the channels. Rows outside the item are zeros. */
static void fill_strip(const ConvParams *conv, const ConvInput *inputs, int32_t n_inputs, ConvShape shape,
                       int32_t item, int32_t first_row, int32_t n_rows, StripStrides strides, bfloat16 *strip) {
    const int64_t left = conv->padding * strides.pixel, right = left + shape.width * strides.pixel;
    for (int32_t row = 0; row < n_rows; row++) {
        bfloat16 *to = strip + row * strides.row;
        const int32_t y = first_row + row;
        const int is_inside = 0 <= y && y < shape.height;
        for (int32_t component = 0; component < conv->n_components; component++) {
            bfloat16 *begin = to + component * strides.component;
            memset(begin, 0, sizeof *begin * (is_inside ? left : strides.row));
            if (is_inside && right < strides.row) memset(begin + right, 0, sizeof *begin * (strides.row - right));
        }
        to += left;
        for (int32_t i = 0; i < n_inputs && is_inside; i++) {
            const int64_t pixel = ((int64_t)item * shape.height + y) * shape.width;
            pack_pixels(&inputs[i], pixel, shape.width, conv->n_components, strides, to);
            to += inputs[i].n_channels;
        }
    }
}

/* GEMM microkernel: four tiles of 16 positions × 16 output channels, summed over all of K.

Tiles 0 to 3 accumulate, tile 4 holds a component of the kernel, 5 and 6 components of the positions. Four
accumulators in turn hide the latency of the tile multiplication. */
static void gemm_microkernel(int32_t n_components, const bfloat16 *const *positions, int64_t position_stride,
                             int64_t component_stride, const int32_t *offsets, int32_t n_k_blocks,
                             const bfloat16 *kernel, float *sums) {
    const bfloat16 *a = positions[0], *b = positions[1], *c = positions[2], *d = positions[3];
    compiler_barrier();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int32_t k = 0; k < n_k_blocks; k++)
        for (int32_t component = 0; component < n_components; component++, kernel += TILE) {
            int64_t offset = offsets[k];
            _tile_loadd(4, kernel, 64);
            for (int32_t other = 0; component + other < n_components; other++, offset += component_stride) {
                _tile_loadd(5, a + offset, position_stride);
                _tile_dpbf16ps(0, 5, 4);
                _tile_loadd(6, b + offset, position_stride);
                _tile_dpbf16ps(1, 6, 4);
                _tile_loadd(5, c + offset, position_stride);
                _tile_dpbf16ps(2, 5, 4);
                _tile_loadd(6, d + offset, position_stride);
                _tile_dpbf16ps(3, 6, 4);
            }
        }
    _tile_stored(0, sums, 64);
    _tile_stored(1, sums + LANES * LANES, 64);
    _tile_stored(2, sums + 2 * LANES * LANES, 64);
    _tile_stored(3, sums + 3 * LANES * LANES, 64);
}

/* Epilogue of a tile: write 16 output channels, from `channel` on, of some neighbouring positions of a phase. */
static void store_tile(const ConvParams *conv, ConvShape shape, int32_t item, int32_t y, int32_t x, int32_t phase,
                       int32_t channel, const float *sums, float *output) {
    const int32_t upsampling = conv->upsampling;
    const int64_t height = (int64_t)shape.position_rows * upsampling;
    const int64_t width = (int64_t)shape.position_columns * upsampling;
    int64_t row = y * upsampling + phase / upsampling, column = x * upsampling + phase % upsampling;
    int64_t column_step = upsampling;
    if (conv->flip_output) {
        row = height - 1 - row;
        column = width - 1 - column;
        column_step = -column_step;
    }
    float *to = output + ((item * height + row) * width + column) * conv->out_channels + channel;
    const __m512 bias = conv->bias ? _mm512_loadu_ps(conv->bias + channel) : _mm512_setzero_ps();
    const int64_t n = min64(LANES, shape.position_columns - x);
    for (int64_t i = 0; i < n; i++, sums += LANES, to += column_step * conv->out_channels)
        _mm512_storeu_ps(to, activate(_mm512_add_ps(_mm512_load_ps(sums), bias), conv->activation));
}

/* Compute output tiles `first_tile` to `last_tile` (16 channels each) of the position rows `top` to `bottom`, whose
input is in the strip. */
static void gemm_strip(const ConvParams *conv, ConvShape shape, int32_t item, int32_t top, int32_t bottom,
                       int32_t first_tile, int32_t last_tile, StripStrides strides, const bfloat16 *strip,
                       const int32_t *offsets, float *output) {
    float sums[M_TILES * LANES * LANES] __attribute__((aligned(64)));
    const int32_t tiles_per_row = ceil_div(shape.position_columns, LANES), n_tiles = (bottom - top) * tiles_per_row;
    const int64_t position_stride = conv->stride * strides.pixel * sizeof *strip;
    const bfloat16 *kernel = conv->packed_kernel;
    for (int32_t phase = 0; phase < conv->upsampling * conv->upsampling; phase++) {
        const int32_t n_k_blocks = conv->n_k_blocks[phase];
        const int64_t panel = (int64_t)n_k_blocks * conv->n_components * TILE; /* of 16 output channels */
        for (int32_t tile = first_tile; tile < last_tile; tile++)
            for (int32_t begin = 0; begin < n_tiles; begin += M_TILES) {
                const bfloat16 *positions[M_TILES], *kernel_panel = kernel + tile * panel;
                for (int32_t i = 0; i < M_TILES; i++) { /* beyond the last tile, the last again */
                    const int32_t m = min64(begin + i, n_tiles - 1);
                    positions[i] = strip + m / tiles_per_row * conv->stride * strides.row
                                   + m % tiles_per_row * LANES * conv->stride * strides.pixel;
                }
                gemm_microkernel(conv->n_components, positions, position_stride, strides.component, offsets,
                                 n_k_blocks, kernel_panel, sums);
                for (int32_t m = begin; m < min64(begin + M_TILES, n_tiles); m++)
                    store_tile(conv, shape, item, top + m / tiles_per_row, m % tiles_per_row * LANES, phase,
                               tile * LANES, sums + (m - begin) * LANES * LANES, output);
            }
        kernel += conv->out_channels / LANES * panel;
        offsets += n_k_blocks;
    }
}

/* Convolve inputs, concatenated along the channels, with `n_threads` threads.

Returns 0 only if memory for the strips runs out. */
int32_t convolve(const ConvParams *conv, const ConvInput *inputs, int32_t n_inputs, const ConvShape *shape,
                 float *output, int32_t n_threads) {
    const int32_t n_tiles = conv->out_channels / LANES, tiles_per_row = ceil_div(shape->position_columns, LANES);
    const int64_t n_pixels = (int64_t)(tiles_per_row * LANES - 1) * conv->stride + conv->patch_size;
    const int has_padding = conv->in_channels >= PADDED_CHANNELS && conv->in_channels % PIXEL_PADDING == 0;
    StripStrides strides = {.pixel = conv->in_channels + (has_padding ? PIXEL_PADDING : 0)};
    strides.row = (n_pixels + 1) * strides.pixel; /* one more, as a K block may begin with the last 16 channels */
    const int64_t held = STRIP_BYTES / (conv->n_components * (int64_t)sizeof(bfloat16) * strides.row); /* rows */
    const int64_t fitting = held > conv->patch_size ? (held - conv->patch_size) / conv->stride + 1 : 1;
    const int32_t strip_rows = min64(fitting, shape->position_rows); /* of positions */
    strides.component = ((strip_rows - 1) * conv->stride + conv->patch_size) * strides.row;
    const int32_t n_strips = ceil_div(shape->position_rows, strip_rows);
    /* With few strips, several threads share one and divide the output channels. */
    const int32_t n_shares = shape->batch * n_strips >= 2 * n_threads ? 1 : min64(n_threads, n_tiles);
    const int32_t n_tasks = shape->batch * n_strips * n_shares;
    int32_t n_offsets = 0, is_done = 1;
    for (int32_t phase = 0; phase < conv->upsampling * conv->upsampling; phase++)
        n_offsets += conv->n_k_blocks[phase];

#pragma omp parallel num_threads(n_threads)
    {
        const int64_t bytes = conv->n_components * strides.component * sizeof(bfloat16);
        bfloat16 *strip = aligned_alloc(64, ceil_div(bytes, 64) * 64);
        int32_t *offsets = malloc(n_offsets * sizeof *offsets);
        if (strip && offsets) {
            for (int32_t i = 0; i < n_offsets; i++) {
                const KBlock *block = &conv->k_blocks[i];
                offsets[i] = block->row * strides.row + block->column * strides.pixel + block->channel;
            }
            configure_tiles();
            for (int32_t task = omp_get_thread_num(); task < n_tasks; task += omp_get_num_threads()) {
                const int32_t share = task % n_shares, number = task / n_shares % n_strips;
                const int32_t item = task / n_shares / n_strips;
                const int32_t top = number * strip_rows, bottom = min64(top + strip_rows, shape->position_rows);
                const int32_t n_rows = (bottom - top - 1) * conv->stride + conv->patch_size;
                fill_strip(conv, inputs, n_inputs, *shape, item, top * conv->stride - conv->padding, n_rows, strides,
                           strip);
                gemm_strip(conv, *shape, item, top, bottom, n_tiles * share / n_shares,
                           n_tiles * (share + 1) / n_shares, strides, strip, offsets, output);
            }
            _tile_release();
        } else {
#pragma omp atomic write
            is_done = 0;
        }
        free(strip);
        free(offsets);
    }
    return is_done;
}

/* Pack a kernel for `convolve`: for each phase, tile of 16 output channels and K block, a B tile for each component.

`strides`, in floats: of the kernel's rows, columns, input channels and output channels. */
void pack_kernel(const ConvParams *conv, const float *kernel, const int64_t *strides, bfloat16 *packed,
                 int32_t n_threads) {
    const int32_t n_tiles = conv->out_channels / LANES, n_components = conv->n_components;
    const __m512i outputs = lane_offsets(strides[3]);
    const KBlock *k_blocks = conv->k_blocks;
    for (int32_t phase = 0; phase < conv->upsampling * conv->upsampling; phase++) {
        const int32_t n_k_blocks = conv->n_k_blocks[phase];
#pragma omp parallel for num_threads(n_threads)
        for (int32_t i = 0; i < n_tiles * n_k_blocks; i++) {
            const KBlock *block = &k_blocks[i % n_k_blocks];
            for (int32_t pair = 0; pair < LANES; pair++) {
                const int32_t half = 2 * pair / LANES;
                __m512 even = _mm512_setzero_ps(), odd = even;
                if (block->slices[half].row >= 0) {
                    const int64_t input = block->slices[half].channel + 2 * pair % LANES;
                    const float *from = kernel + block->slices[half].row * strides[0]
                                        + block->slices[half].column * strides[1] + input * strides[2]
                                        + i / n_k_blocks * LANES * strides[3];
                    even = _mm512_i32gather_ps(outputs, from, 4);
                    odd = _mm512_i32gather_ps(outputs, from + strides[2], 4);
                }
                store_vnni_row(even, odd, n_components, packed + (int64_t)i * n_components * TILE + pair * K_BLOCK);
            }
        }
        k_blocks += n_k_blocks;
        packed += (int64_t)n_tiles * n_k_blocks * n_components * TILE;
    }
}
