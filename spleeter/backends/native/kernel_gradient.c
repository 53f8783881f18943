/* Gradients of convolution kernels on AMX: a correlation as an implicit GEMM.

    M  kernel taps × channels of `image`, 16 channels of a tap to a tile
    N  channels of `values`, 16 to a tile
    K  positions, in blocks of two times 16 neighbours

`image` is the operand that im2col applies to, the one with more rows and columns: the input of a convolution, or the
gradient of a transposed one's output. `values` is the operand with one pixel for each position: the gradient of the
output, or the input. For each tap of the kernel and each pair of channels, the products of the image pixel under the
tap and of the position's value are summed. As K runs along positions, the image is transposed on its way into the
strip: a row of an A tile is a channel.

For a small kernel, the threads split the positions (split-K): each works on strips of the image that stay in its L2
cache, and sums into a kernel gradient of its own. For a large one, they split the channels of the values; the A tiles
of a tap are copied out of the image, as they are read many times. */

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "amx.h"

enum {
    BLOCKING = 2,                /* register blocking: tiles of either operand that are multiplied together */
    SMALL_BYTES = 1 << 21,       /* of a small kernel, at most */
    STRIP_BYTES = 1 << 20,       /* of a strip's buffer, for a small kernel */
    LARGE_STRIP_BYTES = 1 << 23, /* of a strip's buffer, for a large kernel */
};

typedef struct {
    const float *image, *values; /* (batch, height, width, image_channels),
                                    (batch, position_rows, position_columns, value_channels) */
    int32_t n_components;        /* bfloat16 components of each float32: 1 or 2 */
    int32_t image_channels, value_channels;
    int32_t kernel_size, stride, padding;
    int32_t batch, height, width, position_rows, position_columns;
    float *grad_kernel;          /* to be written */
    int64_t strides[4];          /* of its rows, columns, image channels and value channels, in floats */
} KernelGradient;

/* The im2col strip, the part of the image that is in the buffer: some items of the batch, or some rows of one.

Its layout is (component, item, row, channel, column modulo stride, column / stride), so that the values which a tap
meets at neighbouring positions are consecutive. */
typedef struct {
    int32_t n_items, position_rows;    /* items, and rows of positions of each */
    int32_t row_blocks;                /* blocks of 16 positions in a row of positions */
    int64_t columns, channel, row, item, component; /* strides: the columns of one remainder, ..., a component */
    int32_t n_strips, n_tasks;         /* strips of an item, and of the whole batch (tasks) */
    int64_t panel;                     /* values of a packed panel, 16 channels of all of a strip's positions */
} Strip;

/* The items and rows of positions of one strip. */
typedef struct {
    int32_t item, last_item, top, bottom;
} Task;

/* Rows of the image under the kernel for some rows of positions. */
static int64_t image_rows(const KernelGradient *conv, int64_t position_rows) {
    return (position_rows - 1) * conv->stride + conv->kernel_size;
}

/* Choose strips of at most so many bytes and rows of positions; a row's blocks are rounded up to a multiple of
`unit`. */
static Strip plan_strips(const KernelGradient *conv, int64_t bytes, int64_t most_rows, int32_t unit) {
    Strip strip = {.row_blocks = ceil_div(conv->position_columns, unit * LANES) * unit};
    strip.columns = ceil_div(strip.row_blocks * LANES + (conv->kernel_size - 1) / conv->stride, LANES) * LANES;
    strip.channel = strip.columns * conv->stride;
    strip.row = strip.channel * conv->image_channels;
    const int64_t held = bytes / (conv->n_components * (int64_t)sizeof(bfloat16) * strip.row); /* image rows */
    const int64_t fitting =
        min64(held > conv->kernel_size ? (held - conv->kernel_size) / conv->stride + 1 : 1, most_rows);
    strip.position_rows = min64(fitting, conv->position_rows);
    const int64_t n_rows = image_rows(conv, strip.position_rows);
    const int64_t items = min64(held / n_rows, most_rows / conv->position_rows);
    strip.n_items = items > 1 ? min64(items, conv->batch) : 1;
    strip.item = n_rows * strip.row;
    strip.component = strip.n_items * strip.item;
    strip.n_strips = ceil_div(conv->position_rows, strip.position_rows);
    strip.n_tasks = ceil_div(conv->batch, strip.n_items) * strip.n_strips;
    strip.panel = ceil_div((int64_t)strip.n_items * strip.position_rows * strip.row_blocks, 2) * conv->n_components
                  * TILE;
    return strip;
}

static Task get_task(const KernelGradient *conv, const Strip *strip, int32_t number) {
    const int32_t item = number / strip->n_strips * strip->n_items;
    const int32_t top = number % strip->n_strips * strip->position_rows;
    return (Task){item, min64(item + strip->n_items, conv->batch), top,
                  min64(top + strip->position_rows, conv->position_rows)};
}

/* Transpose 16 × 16 values in place. */
static inline void transpose(__m512 *rows) {
    __m512 pairs[LANES], quads[LANES];
    for (int i = 0; i < LANES; i += 2) {
        pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            const __m512d low = _mm512_castps_pd(pairs[i + j]), high = _mm512_castps_pd(pairs[i + j + 2]);
            quads[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            quads[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    for (int j = 0; j < 4; j++) { /* the quarters of vectors j, j + 4, j + 8 and j + 12 */
        const __m512 ab = _mm512_shuffle_f32x4(quads[j], quads[j + 4], 0x88);
        const __m512 cd = _mm512_shuffle_f32x4(quads[j + 8], quads[j + 12], 0x88);
        const __m512 ef = _mm512_shuffle_f32x4(quads[j], quads[j + 4], 0xdd);
        const __m512 gh = _mm512_shuffle_f32x4(quads[j + 8], quads[j + 12], 0xdd);
        rows[j] = _mm512_shuffle_f32x4(ab, cd, 0x88);
        rows[j + 4] = _mm512_shuffle_f32x4(ef, gh, 0x88);
        rows[j + 8] = _mm512_shuffle_f32x4(ab, cd, 0xdd);
        rows[j + 12] = _mm512_shuffle_f32x4(ef, gh, 0xdd);
    }
}

/* Transpose a row of the image into a row of the strip, with zero padding on both sides. */
static void transpose_row(const KernelGradient *conv, const Strip *strip, const float *image, bfloat16 *to) {
    for (int32_t channel = 0; channel < conv->image_channels; channel += LANES)
        for (int32_t remainder = 0; remainder < conv->stride; remainder++)
            for (int32_t column = 0; column < strip->columns; column += LANES) {
                __m512 x[LANES];
                for (int32_t i = 0; i < LANES; i++) {
                    const int64_t pixel = (column + i) * conv->stride + remainder - conv->padding;
                    const int is_inside = 0 <= pixel && pixel < conv->width;
                    x[i] = is_inside ? _mm512_loadu_ps(image + pixel * conv->image_channels + channel)
                                     : _mm512_setzero_ps();
                }
                transpose(x);
                bfloat16 *first = to + channel * strip->channel + remainder * strip->columns + column;
                for (int32_t i = 0; i < LANES; i++)
                    store_components(x[i], conv->n_components, strip->component, first + i * strip->channel);
            }
}

/* Fill one row of the strip, counted over all of a task's items. */
static void fill_row(const KernelGradient *conv, const Strip *strip, Task task, int32_t number, bfloat16 *image) {
    const int32_t n_rows = image_rows(conv, task.bottom - task.top);
    const int32_t item = number / n_rows, row = number % n_rows;
    const int32_t y = task.top * conv->stride - conv->padding + row;
    bfloat16 *to = image + item * strip->item + row * strip->row;
    if (0 <= y && y < conv->height) {
        const int64_t first = ((task.item + item) * (int64_t)conv->height + y) * conv->width;
        transpose_row(conv, strip, conv->image + first * conv->image_channels, to);
    } else {
        for (int32_t component = 0; component < conv->n_components; component++)
            memset(to + component * strip->component, 0, strip->row * sizeof *to);
    }
}

/* Image rows of all of a task's items. */
static int32_t task_rows(const KernelGradient *conv, Task task) {
    return (task.last_item - task.item) * image_rows(conv, task.bottom - task.top);
}

/* List where in the strip each block of 16 positions begins. Returns how many blocks there are. */
static int32_t list_blocks(const KernelGradient *conv, const Strip *strip, Task task, int32_t *offsets) {
    const int32_t n = (task.bottom - task.top) * strip->row_blocks, n_items = task.last_item - task.item;
    for (int32_t i = 0; i < n_items * n; i++)
        offsets[i] = i / n * strip->item + i % n / strip->row_blocks * conv->stride * strip->row
                     + i % strip->row_blocks * LANES;
    return n_items * n;
}

/* Pack 16 channels of a task's values into a panel of B tiles, two times 16 positions in each. */
static void pack_values(const KernelGradient *conv, const Strip *strip, Task task, int32_t channel, bfloat16 *to) {
    const __m512 zero = _mm512_setzero_ps();
    int32_t number = 0;
    for (int32_t item = task.item; item < task.last_item; item++)
        for (int32_t y = task.top; y < task.bottom; y++) {
            const float *from = conv->values
                                + ((int64_t)item * conv->position_rows + y) * conv->position_columns
                                      * conv->value_channels
                                + channel;
            for (int32_t i = 0; i < strip->row_blocks; i++, number++) {
                bfloat16 *half = to + number / 2 * conv->n_components * TILE + number % 2 * TILE / 2;
                for (int32_t at = i * LANES; at < (i + 1) * LANES; at += 2, half += K_BLOCK) {
                    const __m512 even =
                        at < conv->position_columns ? _mm512_loadu_ps(from + at * conv->value_channels) : zero;
                    const __m512 odd = at + 1 < conv->position_columns
                                           ? _mm512_loadu_ps(from + (at + 1) * conv->value_channels)
                                           : zero;
                    store_vnni_row(even, odd, conv->n_components, half);
                }
            }
        }
    if (number % 2)
        for (int32_t component = 0; component < conv->n_components; component++)
            memset(to + (number / 2 * conv->n_components + component) * TILE + TILE / 2, 0, TILE / 2 * sizeof *to);
}

/* GEMM microkernel: 2 × 2 tiles, two taps by two tiles of values (16 × 16 channels each), summed over all of K.

Tiles 0 to 3 accumulate, 4 and 5 hold a component of the taps, 6 and 7 a component of the values. */
static void gemm_microkernel(int32_t n_components, const bfloat16 *const *taps, int64_t channel_stride,
                             int64_t component_stride, const int32_t *offsets, int32_t n_k_blocks,
                             const bfloat16 *const *values, float *sums) {
    const bfloat16 *a = taps[0], *b = taps[1], *c = values[0], *d = values[1];
    compiler_barrier();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int32_t k = 0; k < n_k_blocks; k++, c += n_components * TILE, d += n_components * TILE) {
        int64_t offset = offsets[k];
        for (int32_t component = 0; component < n_components; component++, offset += component_stride) {
            _tile_loadd(4, a + offset, channel_stride);
            _tile_loadd(5, b + offset, channel_stride);
            for (int32_t other = 0; component + other < n_components; other++) {
                _tile_loadd(6, c + other * TILE, 64);
                _tile_loadd(7, d + other * TILE, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
        }
    }
    _tile_stored(0, sums, BLOCKING * 64);
    _tile_stored(1, sums + LANES, BLOCKING * 64);
    _tile_stored(2, sums + BLOCKING * LANES * LANES, BLOCKING * 64);
    _tile_stored(3, sums + BLOCKING * LANES * LANES + LANES, BLOCKING * 64);
}

/* A kernel tap and 16 channels of the image, the M dimension of a tile. Neighbours in a row read almost the same. */
typedef struct {
    int32_t index, channel; /* row × kernel_size + column; the first channel */
    const bfloat16 *values; /* of the image under the tap, at the first position */
} Tap;

static int32_t count_taps(const KernelGradient *conv) {
    return conv->kernel_size * conv->kernel_size * (conv->image_channels / LANES);
}

static Tap get_tap(const KernelGradient *conv, const Strip *strip, const bfloat16 *image, int32_t number) {
    const int32_t n_blocks = conv->image_channels / LANES, column = number % conv->kernel_size;
    const int32_t block = number / conv->kernel_size % n_blocks, row = number / conv->kernel_size / n_blocks;
    const bfloat16 *values = image + row * strip->row + block * LANES * strip->channel
                             + column % conv->stride * strip->columns + column / conv->stride;
    return (Tap){row * conv->kernel_size + column, block * LANES, values};
}

/* Write, or add, 16 value channels of the kernel gradient for a tap and a channel of the image. */
static inline void store_row(const KernelGradient *conv, int32_t tap, int32_t image_channel, int32_t value_channel,
                             __m512 sum, int accumulate) {
    const __m512i lanes = lane_offsets(conv->strides[3]);
    float *to = conv->grad_kernel + tap / conv->kernel_size * conv->strides[0]
                + tap % conv->kernel_size * conv->strides[1] + image_channel * conv->strides[2]
                + value_channel * conv->strides[3];
    if (accumulate) sum = _mm512_add_ps(sum, _mm512_i32gather_ps(lanes, to, 4));
    _mm512_i32scatter_ps(to, lanes, sum, 4);
}

/* Buffers of a thread: image (a strip, or the copied taps), packed values, and the offsets of K blocks. */
typedef struct {
    bfloat16 *image, *values;
    int32_t *offsets;
} Buffers;

static Buffers allocate(int64_t n_image, int64_t n_values, int64_t n_offsets) {
    return (Buffers){
        aligned_alloc(64, ceil_div(n_image * sizeof(bfloat16), 64) * 64),
        aligned_alloc(64, ceil_div(n_values * sizeof(bfloat16), 64) * 64),
        malloc(n_offsets * sizeof(int32_t)),
    };
}

static int are_allocated(Buffers buffers) { return buffers.image && buffers.values && buffers.offsets; }

static void release(Buffers buffers) {
    free(buffers.image);
    free(buffers.values);
    free(buffers.offsets);
}

/* Add the products of a strip and one or two tiles of its values to `products`
(taps, image_channels, value_channels). */
static void accumulate_products(const KernelGradient *conv, const Strip *strip, Buffers buffers, int32_t n_k_blocks,
                                int32_t tile, int32_t n_tiles, float *products) {
    float sums[BLOCKING * LANES * BLOCKING * LANES] __attribute__((aligned(64)));
    const bfloat16 *values[BLOCKING] = {buffers.values, buffers.values + (n_tiles - 1) * strip->panel};
    const int32_t n_taps = count_taps(conv);
    const int64_t channel_stride = strip->channel * sizeof(bfloat16);
    for (int32_t begin = 0; begin < n_taps; begin += BLOCKING) {
        Tap taps[BLOCKING];
        for (int32_t i = 0; i < BLOCKING; i++)
            taps[i] = get_tap(conv, strip, buffers.image, min64(begin + i, n_taps - 1));
        const bfloat16 *tap_values[BLOCKING] = {taps[0].values, taps[1].values};
        gemm_microkernel(conv->n_components, tap_values, channel_stride, strip->component, buffers.offsets,
                         n_k_blocks, values, sums);
        const float *from = sums;
        for (int32_t i = 0; i < min64(BLOCKING, n_taps - begin); i++)
            for (int32_t channel = 0; channel < LANES; channel++, from += BLOCKING * LANES) {
                const int64_t row = taps[i].index * (int64_t)conv->image_channels + taps[i].channel + channel;
                float *to = products + row * conv->value_channels + tile * LANES;
                for (int32_t j = 0; j < n_tiles * LANES; j += LANES)
                    _mm512_storeu_ps(to + j, _mm512_add_ps(_mm512_loadu_ps(to + j), _mm512_load_ps(from + j)));
            }
    }
}

/* Small kernels: the threads split the positions, K, and their sums are added at the end. */
static int32_t split_positions(const KernelGradient *conv, int32_t n_threads) {
    const int64_t position_rows = (int64_t)conv->batch * conv->position_rows; /* strips enough for all threads */
    const Strip strip = plan_strips(conv, STRIP_BYTES, ceil_div(position_rows, n_threads), 2);
    const int32_t n_tiles = conv->value_channels / LANES;
    const int32_t n_rows = conv->kernel_size * conv->kernel_size * conv->image_channels;
    const int64_t n_products = (int64_t)n_rows * conv->value_channels;
    n_threads = min64(n_threads, strip.n_tasks);
    float *products = calloc(n_threads * n_products, sizeof *products);
    int32_t is_done = products != NULL;
#pragma omp parallel num_threads(n_threads)
    {
        const int32_t n_blocks = strip.n_items * strip.position_rows * strip.row_blocks;
        const Buffers buffers = allocate(conv->n_components * strip.component, BLOCKING * strip.panel, n_blocks);
        if (products && are_allocated(buffers)) {
            const int32_t thread = omp_get_thread_num();
            configure_tiles();
            for (int32_t number = thread; number < strip.n_tasks; number += omp_get_num_threads()) {
                const Task task = get_task(conv, &strip, number);
                const int32_t n_filled = task_rows(conv, task);
                for (int32_t row = 0; row < n_filled; row++) fill_row(conv, &strip, task, row, buffers.image);
                const int32_t n_k_blocks = list_blocks(conv, &strip, task, buffers.offsets) / 2;
                for (int32_t i = 0; i < n_k_blocks; i++) buffers.offsets[i] = buffers.offsets[2 * i];
                for (int32_t tile = 0; tile < n_tiles; tile += BLOCKING) {
                    const int32_t n = min64(BLOCKING, n_tiles - tile);
                    for (int32_t i = 0; i < n; i++)
                        pack_values(conv, &strip, task, (tile + i) * LANES, buffers.values + i * strip.panel);
                    accumulate_products(conv, &strip, buffers, n_k_blocks, tile, n, products + thread * n_products);
                }
            }
            _tile_release();
        } else {
#pragma omp atomic write
            is_done = 0;
        }
        release(buffers);
#pragma omp barrier
#pragma omp for
        for (int32_t row = 0; row < (is_done ? n_rows : 0); row++)
            for (int32_t value = 0; value < conv->value_channels; value += LANES) {
                const float *from = products + row * (int64_t)conv->value_channels + value;
                __m512 sum = _mm512_loadu_ps(from);
                for (int32_t i = 1; i < n_threads; i++)
                    sum = _mm512_add_ps(sum, _mm512_loadu_ps(from + i * n_products));
                store_row(conv, row / conv->image_channels, row % conv->image_channels, value, sum, 0);
            }
    }
    free(products);
    return is_done;
}

/* Copy the image values that a tap meets into a panel of A tiles: for each K block, a tile for each component. */
static void copy_tap(const KernelGradient *conv, const Strip *strip, const bfloat16 *from, const int32_t *offsets,
                     int32_t n_blocks, bfloat16 *to) {
    for (int32_t i = 0; i < n_blocks; i++)
        for (int32_t component = 0; component < conv->n_components; component++) {
            const bfloat16 *row = from + offsets[i] + component * strip->component;
            bfloat16 *half = to + (i / 2 * conv->n_components + component) * TILE + i % 2 * LANES;
            for (int32_t channel = 0; channel < LANES; channel++, row += strip->channel, half += K_BLOCK)
                _mm256_store_si256((__m256i *)half, _mm256_loadu_si256((const __m256i *)row));
        }
}

/* Write, or add, the products of a task's image strip and a thread's tiles of values.

`buffers.image` holds the panels of two taps, `panel_offsets` where the K blocks of each begin. */
static void store_products(const KernelGradient *conv, const Strip *strip, const bfloat16 *image, Buffers buffers,
                           int32_t n_blocks, const int32_t *panel_offsets, int32_t first_tile, int32_t n_tiles,
                           int accumulate) {
    float sums[BLOCKING * LANES * BLOCKING * LANES] __attribute__((aligned(64)));
    const int32_t n_taps = count_taps(conv), n_k_blocks = ceil_div(n_blocks, 2);
    const bfloat16 *panels[BLOCKING] = {buffers.image, buffers.image + strip->panel};
    for (int32_t begin = 0; begin < n_taps; begin += BLOCKING) {
        Tap taps[BLOCKING];
        for (int32_t i = 0; i < BLOCKING; i++) {
            taps[i] = get_tap(conv, strip, image, min64(begin + i, n_taps - 1));
            copy_tap(conv, strip, taps[i].values, buffers.offsets, n_blocks, buffers.image + i * strip->panel);
        }
        for (int32_t tile = 0; tile < n_tiles; tile += BLOCKING) {
            const bfloat16 *values[BLOCKING];
            for (int32_t i = 0; i < BLOCKING; i++)
                values[i] = buffers.values + min64(tile + i, n_tiles - 1) * strip->panel;
            gemm_microkernel(conv->n_components, panels, 2 * K_BLOCK, TILE, panel_offsets, n_k_blocks, values, sums);
            for (int32_t j = 0; j < min64(BLOCKING, n_tiles - tile); j++)
                for (int32_t i = 0; i < min64(BLOCKING, n_taps - begin) * LANES; i++)
                    store_row(conv, taps[i / LANES].index, taps[i / LANES].channel + i % LANES,
                              (first_tile + tile + j) * LANES, _mm512_load_ps(sums + (i * BLOCKING + j) * LANES),
                              accumulate);
        }
    }
}

/* Large kernels: the threads split the channels of the values, N, and share the image strip. */
static int32_t split_channels(const KernelGradient *conv, int32_t n_threads) {
    const Strip strip = plan_strips(conv, LARGE_STRIP_BYTES, (int64_t)conv->batch * conv->position_rows, 1);
    const int32_t n_tiles = conv->value_channels / LANES;
    const int32_t most_blocks = strip.n_items * strip.position_rows * strip.row_blocks;
    bfloat16 *image = aligned_alloc(64, ceil_div(conv->n_components * strip.component * sizeof *image, 64) * 64);
    int32_t *panel_offsets = malloc(most_blocks * sizeof *panel_offsets);
    int32_t is_done = image && panel_offsets;
    for (int32_t i = 0; panel_offsets && i < most_blocks; i++) panel_offsets[i] = i * conv->n_components * TILE;
    n_threads = min64(n_threads, n_tiles);
#pragma omp parallel num_threads(n_threads)
    {
        const int32_t thread = omp_get_thread_num(), n_present = omp_get_num_threads();
        const int32_t first = n_tiles * thread / n_present, n_own = n_tiles * (thread + 1) / n_present - first;
        const Buffers buffers = allocate(BLOCKING * strip.panel, n_own * strip.panel, most_blocks);
        if (are_allocated(buffers)) {
            memset(buffers.image, 0, BLOCKING * strip.panel * sizeof(bfloat16)); /* half a K block may stay unused */
        } else {
#pragma omp atomic write
            is_done = 0;
        }
#pragma omp barrier
        if (is_done) configure_tiles();
        for (int32_t number = 0; number < (is_done ? strip.n_tasks : 0); number++) {
            const Task task = get_task(conv, &strip, number);
#pragma omp for
            for (int32_t row = 0; row < task_rows(conv, task); row++) fill_row(conv, &strip, task, row, image);
            const int32_t n_blocks = list_blocks(conv, &strip, task, buffers.offsets);
            for (int32_t i = 0; i < n_own; i++)
                pack_values(conv, &strip, task, (first + i) * LANES, buffers.values + i * strip.panel);
            store_products(conv, &strip, image, buffers, n_blocks, panel_offsets, first, n_own, number > 0);
#pragma omp barrier
        }
        if (is_done) _tile_release();
        release(buffers);
    }
    free(image);
    free(panel_offsets);
    return is_done;
}

/* Compute the kernel gradient with `n_threads` threads. Returns 0 only if memory runs out. */
int32_t kernel_gradient(const KernelGradient *conv, int32_t n_threads) {
    const int64_t area = (int64_t)conv->kernel_size * conv->kernel_size;
    const int64_t bytes = area * conv->image_channels * conv->value_channels * sizeof(float);
    return bytes <= SMALL_BYTES ? split_positions(conv, n_threads) : split_channels(conv, n_threads);
}
