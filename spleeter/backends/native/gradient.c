/* Gradients of the kernels of convolutions.

`image` is what has the more rows and columns: the input of a convolution, or the gradient of a transposed one's
output. `values` are those of the positions: the gradient of the output, or the input. For each place of the kernel
and each pair of channels, the products of what lies at that place beside a position and of the position's value are
added up. So steps go along positions here, two times sixteen neighbours at once, and the image is transposed on its
way to the buffer: a row of a tile is a channel.

Of a small kernel, the threads share the positions: each works on strips of the image that stay in its cache, and has
products of its own to add to. Of a large one, they share the channels of the values; what a place of the kernel meets
is copied out of the image, to be read again and again. */

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "split.h"

enum {
    PAIR = 2,                    /* tiles of either factor that are multiplied at once */
    SMALL_BYTES = 1 << 21,       /* of a small kernel, at most */
    STRIP_BYTES = 1 << 20,       /* of the buffer for a small one */
    LARGE_STRIP_BYTES = 1 << 23, /* of the buffer for a large one */
};

typedef struct {
    const float *image, *values;   /* (batch, height, width, n_image), (batch, n_down, n_across, n_values) */
    int32_t n_parts;               /* that numbers are taken apart into */
    int32_t n_image, n_values;     /* channels */
    int32_t size, stride, padding; /* of the kernel */
    int32_t batch, height, width, n_down, n_across;
    float *gradient;               /* to be written */
    int64_t strides[4];            /* of its rows, columns, channels of the image and channels of the values */
} Correlation;

/* What is in the buffer at once: some songs, or a strip of one.

It lies there part by part, song by song, row by row, channel by channel, column by column of those that are as far
from multiples of the stride. */
typedef struct {
    int32_t n_songs, depth;            /* songs, and rows of positions of each */
    int32_t across;                    /* sixteens to a row of positions */
    int64_t columns, channel, row, song, part;
    int32_t n_strips, n_tasks;         /* of a song, and in all */
    int64_t panel;                     /* numbers of sixteen channels of the values */
} Strip;

/* A strip as it is to be worked on. */
typedef struct {
    int32_t song, last_song, top, bottom;
} Task;

/* The rows of an image that some rows of positions take in. */
static int64_t rows_of(const Correlation *of, int64_t n_positions) {
    return (n_positions - 1) * of->stride + of->size;
}

/* A strip of at most so many bytes and rows of positions. Sixteens of a row are rounded up to a multiple of `unit`. */
static Strip strip_of(const Correlation *of, int64_t bytes, int64_t most_rows, int32_t unit) {
    Strip strip = {.across = quotient_up(of->n_across, unit * LANES) * unit};
    strip.columns = quotient_up(strip.across * LANES + (of->size - 1) / of->stride, LANES) * LANES;
    strip.channel = strip.columns * of->stride;
    strip.row = strip.channel * of->n_image;
    const int64_t held = bytes / (of->n_parts * (int64_t)sizeof(bfloat16) * strip.row); /* rows */
    const int64_t fitting = least(held > of->size ? (held - of->size) / of->stride + 1 : 1, most_rows);
    strip.depth = least(fitting, of->n_down);
    const int64_t n_rows = rows_of(of, strip.depth), songs = least(held / n_rows, most_rows / of->n_down);
    strip.n_songs = songs > 1 ? least(songs, of->batch) : 1;
    strip.song = n_rows * strip.row;
    strip.part = strip.n_songs * strip.song;
    strip.n_strips = quotient_up(of->n_down, strip.depth);
    strip.n_tasks = quotient_up(of->batch, strip.n_songs) * strip.n_strips;
    strip.panel = quotient_up((int64_t)strip.n_songs * strip.depth * strip.across, 2) * of->n_parts * TILE;
    return strip;
}

static Task task_of(const Correlation *of, const Strip *strip, int32_t number) {
    const int32_t song = number / strip->n_strips * strip->n_songs, top = number % strip->n_strips * strip->depth;
    return (Task){song, least(song + strip->n_songs, of->batch), top, least(top + strip->depth, of->n_down)};
}

/* Exchange rows and columns of sixteen by sixteen numbers. */
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

/* Transpose a row of an image into a row of the buffer, with zeros before and behind it. */
static void transpose_row(const Correlation *of, const Strip *strip, const float *image, bfloat16 *to) {
    for (int32_t channel = 0; channel < of->n_image; channel += LANES)
        for (int32_t remainder = 0; remainder < of->stride; remainder++)
            for (int32_t column = 0; column < strip->columns; column += LANES) {
                __m512 x[LANES];
                for (int32_t i = 0; i < LANES; i++) {
                    const int64_t pixel = (column + i) * of->stride + remainder - of->padding;
                    const int is_within = 0 <= pixel && pixel < of->width;
                    x[i] = is_within ? _mm512_loadu_ps(image + pixel * of->n_image + channel) : _mm512_setzero_ps();
                }
                transpose(x);
                bfloat16 *first = to + channel * strip->channel + remainder * strip->columns + column;
                for (int32_t i = 0; i < LANES; i++)
                    put_parts(x[i], of->n_parts, strip->part, first + i * strip->channel);
            }
}

/* Fill a row of the buffer, of all that a strip's songs have. */
static void fill_row(const Correlation *of, const Strip *strip, Task task, int32_t number, bfloat16 *buffer) {
    const int32_t n_rows = rows_of(of, task.bottom - task.top);
    const int32_t song = number / n_rows, row = number % n_rows;
    const int32_t y = task.top * of->stride - of->padding + row;
    bfloat16 *to = buffer + song * strip->song + row * strip->row;
    if (0 <= y && y < of->height) {
        const int64_t first = ((task.song + song) * (int64_t)of->height + y) * of->width;
        transpose_row(of, strip, of->image + first * of->n_image, to);
    } else {
        for (int32_t part = 0; part < of->n_parts; part++) memset(to + part * strip->part, 0, strip->row * sizeof *to);
    }
}

static int32_t n_rows_of(const Correlation *of, Task task) {
    return (task.last_song - task.song) * rows_of(of, task.bottom - task.top);
}

/* List where in the buffer each sixteen positions begin. Returns how many there are. */
static int32_t list_positions(const Correlation *of, const Strip *strip, Task task, int32_t *offsets) {
    const int32_t n = (task.bottom - task.top) * strip->across, n_songs = task.last_song - task.song;
    for (int32_t i = 0; i < n_songs * n; i++)
        offsets[i] = i / n * strip->song + i % n / strip->across * of->stride * strip->row
                     + i % strip->across * LANES;
    return n_songs * n;
}

/* Lay sixteen channels of a task's values out as second factors, two times sixteen positions in each. */
static void pack_values(const Correlation *of, const Strip *strip, Task task, int32_t channel, bfloat16 *to) {
    const __m512 zero = _mm512_setzero_ps();
    int32_t number = 0;
    for (int32_t song = task.song; song < task.last_song; song++)
        for (int32_t y = task.top; y < task.bottom; y++) {
            const float *from = of->values + ((int64_t)song * of->n_down + y) * of->n_across * of->n_values + channel;
            for (int32_t i = 0; i < strip->across; i++, number++) {
                bfloat16 *half = to + number / 2 * of->n_parts * TILE + number % 2 * TILE / 2;
                for (int32_t at = i * LANES; at < (i + 1) * LANES; at += 2, half += DEPTH) {
                    const __m512 even = at < of->n_across ? _mm512_loadu_ps(from + at * of->n_values) : zero;
                    const __m512 odd = at + 1 < of->n_across ? _mm512_loadu_ps(from + (at + 1) * of->n_values) : zero;
                    put_pair(even, odd, of->n_parts, half);
                }
            }
        }
    if (number % 2)
        for (int32_t part = 0; part < of->n_parts; part++)
            memset(to + (number / 2 * of->n_parts + part) * TILE + TILE / 2, 0, TILE / 2 * sizeof *to);
}

/* The sums over all steps for two places of an image and two tiles of values: 16 × 16 channels each.

Tiles 0 to 3 hold the sums, 4 and 5 a part of the places, 6 and 7 a part of the values. */
static void sum_steps(int32_t n_parts, const bfloat16 *const *places, int64_t spacing, int64_t distance,
                      const int32_t *offsets, int32_t n_steps, const bfloat16 *const *values, float *sums) {
    const bfloat16 *a = places[0], *b = places[1], *c = values[0], *d = values[1];
    finish_writing();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int32_t step = 0; step < n_steps; step++, c += n_parts * TILE, d += n_parts * TILE) {
        int64_t offset = offsets[step];
        for (int32_t part = 0; part < n_parts; part++, offset += distance) {
            _tile_loadd(4, a + offset, spacing);
            _tile_loadd(5, b + offset, spacing);
            for (int32_t other = 0; part + other < n_parts; other++) {
                _tile_loadd(6, c + other * TILE, 64);
                _tile_loadd(7, d + other * TILE, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
        }
    }
    _tile_stored(0, sums, PAIR * 64);
    _tile_stored(1, sums + LANES, PAIR * 64);
    _tile_stored(2, sums + PAIR * LANES * LANES, PAIR * 64);
    _tile_stored(3, sums + PAIR * LANES * LANES + LANES, PAIR * 64);
}

/* A place of the kernel and sixteen channels of the image; neighbours in a row read almost the same. */
typedef struct {
    int32_t number, channel;
    const bfloat16 *numbers;
} Place;

static int32_t n_places_of(const Correlation *of) { return of->size * of->size * (of->n_image / LANES); }

static Place place_of(const Correlation *of, const Strip *strip, const bfloat16 *buffer, int32_t number) {
    const int32_t n_blocks = of->n_image / LANES, column = number % of->size, block = number / of->size % n_blocks;
    const int32_t row = number / of->size / n_blocks;
    const bfloat16 *numbers = buffer + row * strip->row + block * LANES * strip->channel
                              + column % of->stride * strip->columns + column / of->stride;
    return (Place){row * of->size + column, block * LANES, numbers};
}

/* Write, or add, sixteen channels of the values' gradient for a channel of the image. */
static inline void put_row(const Correlation *of, int32_t place, int32_t image, int32_t value, __m512 sum, int adds) {
    const __m512i lanes = lanes_apart(of->strides[3]);
    float *to = of->gradient + place / of->size * of->strides[0] + place % of->size * of->strides[1]
                + image * of->strides[2] + value * of->strides[3];
    if (adds) sum = _mm512_add_ps(sum, _mm512_i32gather_ps(lanes, to, 4));
    _mm512_i32scatter_ps(to, lanes, sum, 4);
}

/* What a thread works with: strips of an image, values, and a list of offsets. */
typedef struct {
    bfloat16 *image, *values;
    int32_t *offsets;
} Buffers;

static Buffers allocate(int64_t n_image, int64_t n_values, int64_t n_offsets) {
    return (Buffers){
        aligned_alloc(64, quotient_up(n_image * sizeof(bfloat16), 64) * 64),
        aligned_alloc(64, quotient_up(n_values * sizeof(bfloat16), 64) * 64),
        malloc(n_offsets * sizeof(int32_t)),
    };
}

static int are_there(Buffers buffers) { return buffers.image && buffers.values && buffers.offsets; }

static void release(Buffers buffers) {
    free(buffers.image);
    free(buffers.values);
    free(buffers.offsets);
}

/* Add what a strip and two tiles of its values give to products (places, n_image, n_values). */
static void add_products(const Correlation *of, const Strip *strip, Buffers buffers, int32_t n_steps, int32_t tile,
                         int32_t n_tiles, float *products) {
    float sums[PAIR * LANES * PAIR * LANES] __attribute__((aligned(64)));
    const bfloat16 *values[PAIR] = {buffers.values, buffers.values + (n_tiles - 1) * strip->panel};
    const int32_t n_places = n_places_of(of);
    const int64_t spacing = strip->channel * sizeof(bfloat16);
    for (int32_t begin = 0; begin < n_places; begin += PAIR) {
        Place places[PAIR];
        for (int32_t i = 0; i < PAIR; i++)
            places[i] = place_of(of, strip, buffers.image, least(begin + i, n_places - 1));
        const bfloat16 *numbers[PAIR] = {places[0].numbers, places[1].numbers};
        sum_steps(of->n_parts, numbers, spacing, strip->part, buffers.offsets, n_steps, values, sums);
        const float *from = sums;
        for (int32_t i = 0; i < least(PAIR, n_places - begin); i++)
            for (int32_t channel = 0; channel < LANES; channel++, from += PAIR * LANES) {
                const int64_t row = places[i].number * (int64_t)of->n_image + places[i].channel + channel;
                float *to = products + row * of->n_values + tile * LANES;
                for (int32_t j = 0; j < n_tiles * LANES; j += LANES)
                    _mm512_storeu_ps(to + j, _mm512_add_ps(_mm512_loadu_ps(to + j), _mm512_load_ps(from + j)));
            }
    }
}

/* The threads share the positions. */
static int32_t by_positions(const Correlation *of, int32_t n_threads) {
    const int64_t n_down = (int64_t)of->batch * of->n_down; /* enough strips for all threads */
    const Strip strip = strip_of(of, STRIP_BYTES, quotient_up(n_down, n_threads), 2);
    const int32_t n_tiles = of->n_values / LANES, n_rows = of->size * of->size * of->n_image;
    const int64_t n_products = (int64_t)n_rows * of->n_values;
    n_threads = least(n_threads, strip.n_tasks);
    float *products = calloc(n_threads * n_products, sizeof *products);
    int32_t is_done = products != NULL;
#pragma omp parallel num_threads(n_threads)
    {
        const int32_t n_positions = strip.n_songs * strip.depth * strip.across;
        const Buffers buffers = allocate(of->n_parts * strip.part, PAIR * strip.panel, n_positions);
        if (products && are_there(buffers)) {
            const int32_t thread = omp_get_thread_num();
            configure_tiles();
            for (int32_t number = thread; number < strip.n_tasks; number += omp_get_num_threads()) {
                const Task task = task_of(of, &strip, number);
                const int32_t n_filled = n_rows_of(of, task);
                for (int32_t row = 0; row < n_filled; row++) fill_row(of, &strip, task, row, buffers.image);
                const int32_t n_steps = list_positions(of, &strip, task, buffers.offsets) / 2;
                for (int32_t i = 0; i < n_steps; i++) buffers.offsets[i] = buffers.offsets[2 * i];
                for (int32_t tile = 0; tile < n_tiles; tile += PAIR) {
                    const int32_t n = least(PAIR, n_tiles - tile);
                    for (int32_t i = 0; i < n; i++)
                        pack_values(of, &strip, task, (tile + i) * LANES, buffers.values + i * strip.panel);
                    add_products(of, &strip, buffers, n_steps, tile, n, products + thread * n_products);
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
            for (int32_t value = 0; value < of->n_values; value += LANES) {
                const float *from = products + row * (int64_t)of->n_values + value;
                __m512 sum = _mm512_loadu_ps(from);
                for (int32_t i = 1; i < n_threads; i++)
                    sum = _mm512_add_ps(sum, _mm512_loadu_ps(from + i * n_products));
                put_row(of, row / of->n_image, row % of->n_image, value, sum, 0);
            }
    }
    free(products);
    return is_done;
}

/* Copy what a place meets out of the image: for each two times sixteen positions, its parts, a tile each. */
static void copy_place(const Correlation *of, const Strip *strip, const bfloat16 *from, const int32_t *offsets,
                       int32_t n, bfloat16 *to) {
    for (int32_t i = 0; i < n; i++)
        for (int32_t part = 0; part < of->n_parts; part++) {
            const bfloat16 *row = from + offsets[i] + part * strip->part;
            bfloat16 *half = to + (i / 2 * of->n_parts + part) * TILE + i % 2 * LANES;
            for (int32_t channel = 0; channel < LANES; channel++, row += strip->channel, half += DEPTH)
                _mm256_store_si256((__m256i *)half, _mm256_loadu_si256((const __m256i *)row));
        }
}

/* Write, or add, what a task's image and a thread's tiles of values give.

`buffers.image` is for two places; `steps` are the offsets of the steps of each. */
static void put_products(const Correlation *of, const Strip *strip, const bfloat16 *image, Buffers buffers, int32_t n,
                         const int32_t *steps, int32_t first_tile, int32_t n_tiles, int adds) {
    float sums[PAIR * LANES * PAIR * LANES] __attribute__((aligned(64)));
    const int32_t n_places = n_places_of(of), n_steps = quotient_up(n, 2);
    const bfloat16 *numbers[PAIR] = {buffers.image, buffers.image + strip->panel};
    for (int32_t begin = 0; begin < n_places; begin += PAIR) {
        Place places[PAIR];
        for (int32_t i = 0; i < PAIR; i++) {
            places[i] = place_of(of, strip, image, least(begin + i, n_places - 1));
            copy_place(of, strip, places[i].numbers, buffers.offsets, n, buffers.image + i * strip->panel);
        }
        for (int32_t tile = 0; tile < n_tiles; tile += PAIR) {
            const bfloat16 *values[PAIR];
            for (int32_t i = 0; i < PAIR; i++)
                values[i] = buffers.values + least(tile + i, n_tiles - 1) * strip->panel;
            sum_steps(of->n_parts, numbers, 2 * DEPTH, TILE, steps, n_steps, values, sums);
            for (int32_t j = 0; j < least(PAIR, n_tiles - tile); j++)
                for (int32_t i = 0; i < least(PAIR, n_places - begin) * LANES; i++)
                    put_row(of, places[i / LANES].number, places[i / LANES].channel + i % LANES,
                            (first_tile + tile + j) * LANES, _mm512_load_ps(sums + (i * PAIR + j) * LANES), adds);
        }
    }
}

/* The threads share the channels of the values. */
static int32_t by_channels(const Correlation *of, int32_t n_threads) {
    const Strip strip = strip_of(of, LARGE_STRIP_BYTES, (int64_t)of->batch * of->n_down, 1);
    const int32_t n_tiles = of->n_values / LANES, n_positions = strip.n_songs * strip.depth * strip.across;
    bfloat16 *image = aligned_alloc(64, quotient_up(of->n_parts * strip.part * sizeof *image, 64) * 64);
    int32_t *steps = malloc(n_positions * sizeof *steps);
    int32_t is_done = image && steps;
    for (int32_t i = 0; steps && i < n_positions; i++) steps[i] = i * of->n_parts * TILE;
    n_threads = least(n_threads, n_tiles);
#pragma omp parallel num_threads(n_threads)
    {
        const int32_t thread = omp_get_thread_num(), n_present = omp_get_num_threads();
        const int32_t first = n_tiles * thread / n_present, n_own = n_tiles * (thread + 1) / n_present - first;
        const Buffers buffers = allocate(PAIR * strip.panel, n_own * strip.panel, n_positions);
        if (are_there(buffers)) {
            memset(buffers.image, 0, PAIR * strip.panel * sizeof(bfloat16)); /* what no positions are copied to */
        } else {
#pragma omp atomic write
            is_done = 0;
        }
#pragma omp barrier
        if (is_done) configure_tiles();
        for (int32_t number = 0; number < (is_done ? strip.n_tasks : 0); number++) {
            const Task task = task_of(of, &strip, number);
#pragma omp for
            for (int32_t row = 0; row < n_rows_of(of, task); row++) fill_row(of, &strip, task, row, image);
            const int32_t n = list_positions(of, &strip, task, buffers.offsets);
            for (int32_t i = 0; i < n_own; i++)
                pack_values(of, &strip, task, (first + i) * LANES, buffers.values + i * strip.panel);
            put_products(of, &strip, image, buffers, n, steps, first, n_own, number > 0);
#pragma omp barrier
        }
        if (is_done) _tile_release();
        release(buffers);
    }
    free(image);
    free(steps);
    return is_done;
}

/* Fill the gradient, by `n_threads` threads. Returns 0 only if there is no memory. */
int32_t correlate(const Correlation *of, int32_t n_threads) {
    const int64_t bytes = (int64_t)of->size * of->size * of->n_image * of->n_values * sizeof(float);
    return bytes <= SMALL_BYTES ? by_positions(of, n_threads) : by_channels(of, n_threads);
}
