/* Convolutions of float32 with the matrix unit of newer x86 servers, AMX, which multiplies bfloat16 and adds in float32.

Every number is taken as the sum of two of bfloat16, its high and its low half, and a product as

    high · high + low · high + high · low

which leaves out low · low, some 2^-17 of the whole: what torch calls the precision "high" of a float32 product, and
others BF16x3 (Henry, Tang and Heinecke, "Leveraging the bfloat16 artificial intelligence datatype for
higher-precision computations", ARITH 2019).

A convolution is a sum of steps. In a step, what lies at one place beside each of 16 neighbouring positions, 32
consecutive numbers of a row of pixels, is multiplied by 32 × 16 numbers of the kernel. A transposed convolution that
doubles is four convolutions (phases), one for the even or odd rows and columns each. The input is worked on in strips
of rows, which are padded and halved into a buffer that stays in the processor's own cache; on the way there each
channel may be scaled, shifted and activated.

Tensors are (batch, height, width, channels), in float32. Channels are counted in sixteens.

To be compiled with -fopenmp but not linked with an OpenMP library: torch's, with its team of threads, is there. */

#include <immintrin.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LANES = 16,                 /* positions, outputs and numbers that are treated at once */
    DEPTH = 2 * LANES,          /* inputs of a step */
    GROUP = 4,                  /* tiles of positions for which a part of the kernel is loaded once */
    TILE = LANES * DEPTH,       /* numbers of a tile of bfloat16 */
    STRIP_BYTES = 1 << 19,      /* of a strip, with both halves */
    APART = 64,                 /* from so many channels on, a line of the cache lies between two pixels: */
    GAP = 32,                   /* without it, their places in the cache would be the same */
};

typedef uint16_t bfloat16;

typedef struct {
    int32_t is_elu;             /* exp(x) - 1 below zero, or else */
    float slope;                /* slope · x below zero */
} Activation;

typedef struct {
    const float *data;
    const float *scale, *shift; /* of each channel, or NULL */
    int32_t n_channels;
    Activation activation;      /* applied to scale · x + shift */
} Input;

typedef struct {
    int32_t row, column, channel;                        /* where its numbers lie, from the first that a position takes in */
    struct { int32_t row, column, channel; } factor[2];  /* by which of the kernel to multiply each half; none: row -1 */
} Step;

typedef struct {
    int32_t n_inputs, n_outputs;   /* channels */
    int32_t stride;                /* rows and columns of the input from a position to the next */
    int32_t padding;               /* zeros before the first row and column */
    int32_t reach;                 /* rows and columns that a position takes in */
    int32_t factor;                /* rows and columns of the output for a position */
    int32_t is_turned;             /* whether the output is turned round in both */
    Activation activation;         /* of the output */
    const int32_t *n_steps;        /* of each phase */
    const Step *steps;
    const bfloat16 *kernel;        /* from `pack` */
    const float *bias;             /* of each output, or NULL */
} Convolution;

typedef struct {
    int32_t batch, height, width;  /* of the input */
    int32_t n_down, n_across;      /* positions */
} Size;

/* How a strip lies in its buffer: first all high halves, then all low ones. */
typedef struct {
    int64_t pixel, row, half;      /* numbers from one to the next */
} Layout;

/* Ask the system for the use of AMX; whether it is granted. */
int32_t allow(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static void configure_tiles(void) {
    struct { uint8_t palette, start_row, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } configuration = {0};
    configuration.palette = 1;
    for (int tile = 0; tile < 8; tile++) {
        configuration.bytes[tile] = 64;
        configuration.rows[tile] = LANES;
    }
    _tile_loadconfig(&configuration);
}

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t quotient_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* exp(x) for x <= 0, to 2e-7: 2^n · exp(rest), the rest by its series. */
static inline __m512 exponential(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-87));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 rest = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    rest = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), rest);
    __m512 sum = _mm512_set1_ps(1.f / 5040);
    const float inverses[] = {1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, 0.5f, 1, 1};
    for (int i = 0; i < 7; i++) sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(inverses[i]));
    return _mm512_scalef_ps(sum, n);
}

static inline __m512 activated(__m512 x, Activation activation) {
    const __mmask16 below = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    if (activation.is_elu) return _mm512_mask_sub_ps(x, below, exponential(x), _mm512_set1_ps(1));
    return _mm512_mask_mul_ps(x, below, x, _mm512_set1_ps(activation.slope));
}

/* Rounded to the nearest. */
static inline __m256i high_half(__m512 x) { return (__m256i)_mm512_cvtneps_pbh(x); }

static inline __m256i low_half(__m512 x, __m256i high) {
    const __m512 taken = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
    return (__m256i)_mm512_cvtneps_pbh(_mm512_sub_ps(x, taken));
}

/* Halve some pixels of an input, from `first` on, into the first channels at `high`. */
static void halve(const Input *input, int64_t first, int32_t n_pixels, Layout layout, bfloat16 *high) {
    const Activation activation = input->activation;
    for (int32_t channel = 0; channel < input->n_channels; channel += LANES) {
        const __m512 scale = input->scale ? _mm512_loadu_ps(input->scale + channel) : _mm512_set1_ps(1);
        const __m512 shift = input->shift ? _mm512_loadu_ps(input->shift + channel) : _mm512_setzero_ps();
        const float *from = input->data + first * input->n_channels + channel;
        bfloat16 *to = high + channel;
        for (int32_t pixel = 0; pixel < n_pixels; pixel++) {
            const __m512 x = activated(_mm512_fmadd_ps(_mm512_loadu_ps(from), scale, shift), activation);
            const __m256i half = high_half(x);
            _mm256_storeu_si256((__m256i *)to, half);
            _mm256_storeu_si256((__m256i *)(to + layout.half), low_half(x, half));
            from += input->n_channels;
            to += layout.pixel;
        }
    }
}

/* Fill the buffer of a strip with some rows of a song's inputs, the first of which may lie before the song's. */
static void fill(const Convolution *conv, const Input *inputs, int32_t n_inputs, Size size, int32_t song,
                 int32_t first, int32_t n_rows, Layout layout, bfloat16 *buffer) {
    const int64_t before = conv->padding * layout.pixel;
    const int64_t after = before + size.width * layout.pixel;
    for (int32_t row = 0; row < n_rows; row++) {
        bfloat16 *high = buffer + row * layout.row;
        const int32_t y = first + row;
        const int is_within = 0 <= y && y < size.height;
        for (int half = 0; half < 2; half++) {
            bfloat16 *begin = high + half * layout.half;
            memset(begin, 0, sizeof *begin * (is_within ? before : layout.row));
            if (is_within && after < layout.row) memset(begin + after, 0, sizeof *begin * (layout.row - after));
        }
        if (!is_within) continue;
        bfloat16 *to = high + before;
        for (int32_t i = 0; i < n_inputs; i++) {
            halve(&inputs[i], ((int64_t)song * size.height + y) * size.width, size.width, layout, to);
            to += inputs[i].n_channels;
        }
    }
}

/* The sums over all steps for four tiles of positions: 16 positions × 16 outputs each.

Tiles 0 to 3 hold the sums, 4 a half of the kernel, 5 and 6 the positions' numbers. Four sums in turn, for each takes
several times as long to be complete as to be begun. */
static inline void sum_steps(const bfloat16 *const *positions, int64_t spacing, int64_t half, const int32_t *offsets,
                             int32_t n_steps, const bfloat16 *kernel, float *sums) {
    const bfloat16 *a = positions[0], *b = positions[1], *c = positions[2], *d = positions[3];
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
#define MULTIPLY(offset)                      \
    _tile_loadd(5, a + (offset), spacing);    \
    _tile_dpbf16ps(0, 5, 4);                  \
    _tile_loadd(6, b + (offset), spacing);    \
    _tile_dpbf16ps(1, 6, 4);                  \
    _tile_loadd(5, c + (offset), spacing);    \
    _tile_dpbf16ps(2, 5, 4);                  \
    _tile_loadd(6, d + (offset), spacing);    \
    _tile_dpbf16ps(3, 6, 4);
    for (int32_t step = 0; step < n_steps; step++, kernel += 2 * TILE) {
        const int64_t high = offsets[step], low = high + half;
        _tile_loadd(4, kernel, 64);
        MULTIPLY(high)
        MULTIPLY(low)
        _tile_loadd(4, kernel + TILE, 64);
        MULTIPLY(high)
    }
#undef MULTIPLY
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
    if (conv->is_turned) {
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
    const int32_t n_phases = conv->factor * conv->factor;
    const bfloat16 *kernel = conv->kernel;
    for (int32_t phase = 0; phase < n_phases; phase++) {
        const int64_t panel = (int64_t)conv->n_steps[phase] * 2 * TILE;
        for (int32_t tile = first_tile; tile < last_tile; tile++)
            for (int32_t begin = 0; begin < n_tiles; begin += GROUP) {
                const bfloat16 *positions[GROUP];
                for (int32_t i = 0; i < GROUP; i++) {  /* beyond the last, the last again */
                    const int32_t at = least(begin + i, n_tiles - 1);
                    positions[i] = buffer + at / across * conv->stride * layout.row
                                   + at % across * LANES * conv->stride * layout.pixel;
                }
                sum_steps(positions, conv->stride * layout.pixel * sizeof(bfloat16), layout.half, offsets,
                          conv->n_steps[phase], kernel + tile * panel, sums);
                for (int32_t at = begin; at < least(begin + GROUP, n_tiles); at++)
                    put_out(conv, size, song, top + at / across, at % across * LANES, phase, tile * LANES,
                            sums + (at - begin) * LANES * LANES, output);
            }
        kernel += conv->n_outputs / LANES * panel;
        offsets += conv->n_steps[phase];
    }
}

/* Convolve inputs, whose channels are taken as side by side, by `n_threads` threads.

Returns 0 only if there is no memory for the strips. */
int32_t convolve(const Convolution *conv, const Input *inputs, int32_t n_inputs, const Size *size, float *output,
                 int32_t n_threads) {
    const int32_t n_tiles = conv->n_outputs / LANES, across = quotient_up(size->n_across, LANES);
    const int64_t n_pixels = (int64_t)(across * LANES - 1) * conv->stride + conv->reach;
    Layout layout = {.pixel = conv->n_inputs + (conv->n_inputs >= APART && conv->n_inputs % GAP == 0 ? GAP : 0)};
    layout.row = (n_pixels + 1) * layout.pixel;  /* one more, for the last step may begin with the last sixteen */
    const int64_t held = STRIP_BYTES / (2 * (int64_t)sizeof(bfloat16) * layout.row);
    const int64_t fitting = held > conv->reach ? (held - conv->reach) / conv->stride + 1 : 1;
    const int32_t depth = least(fitting, size->n_down);  /* rows of positions of a strip */
    layout.half = ((depth - 1) * conv->stride + conv->reach) * layout.row;
    const int32_t n_strips = quotient_up(size->n_down, depth);
    const int32_t n_parts = size->batch * n_strips >= 2 * n_threads ? 1 : least(n_threads, n_tiles);
    const int32_t n_tasks = size->batch * n_strips * n_parts;
    int32_t n_offsets = 0, is_done = 1;
    for (int32_t phase = 0; phase < conv->factor * conv->factor; phase++) n_offsets += conv->n_steps[phase];

#pragma omp parallel num_threads(n_threads)
    {
        const int64_t bytes = quotient_up(2 * layout.half * sizeof(bfloat16), 64) * 64;
        bfloat16 *buffer = aligned_alloc(64, bytes);
        int32_t *offsets = malloc(n_offsets * sizeof *offsets);
        if (buffer && offsets) {
            for (int32_t i = 0; i < n_offsets; i++) {
                const Step *step = &conv->steps[i];
                offsets[i] = step->row * layout.row + step->column * layout.pixel + step->channel;
            }
            configure_tiles();
            for (int32_t task = omp_get_thread_num(); task < n_tasks; task += omp_get_num_threads()) {
                const int32_t part = task % n_parts, strip = task / n_parts % n_strips;
                const int32_t song = task / n_parts / n_strips;
                const int32_t top = strip * depth, bottom = least(top + depth, size->n_down);
                const int32_t n_rows = (bottom - top - 1) * conv->stride + conv->reach;
                fill(conv, inputs, n_inputs, *size, song, top * conv->stride - conv->padding, n_rows, layout, buffer);
                compute(conv, *size, song, top, bottom, n_tiles * part / n_parts, n_tiles * (part + 1) / n_parts, layout,
                        buffer, offsets, output);
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

/* Lay a kernel out for `convolve`: for each phase, tile of 16 outputs and step, the high halves, then the low ones.

A tile of AMX has in each row, for the outputs one after the other, the factors of two inputs. `strides` are the
numbers from one to the next of the kernel's rows, columns, inputs and outputs. */
void pack(const Convolution *conv, const float *weight, const int64_t *strides, bfloat16 *kernel, int32_t n_threads) {
    const int32_t n_tiles = conv->n_outputs / LANES;
    const __m512i numbers = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i outputs = _mm512_mullo_epi32(numbers, _mm512_set1_epi32(strides[3]));
    const Step *steps = conv->steps;
    for (int32_t phase = 0; phase < conv->factor * conv->factor; phase++) {
        const int32_t n_steps = conv->n_steps[phase];
#pragma omp parallel for num_threads(n_threads)
        for (int32_t i = 0; i < n_tiles * n_steps; i++) {
            const Step *step = &steps[i % n_steps];
            const float *from = weight + i / n_steps * LANES * strides[3];
            bfloat16 *to = kernel + (int64_t)i * 2 * TILE;
            for (int32_t pair = 0; pair < LANES; pair++, to += DEPTH) {
                const int32_t half = 2 * pair / LANES, input = 2 * pair % LANES;
                const int32_t row = step->factor[half].row;
                __m512 x[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
                for (int odd = 0; odd < 2 && row >= 0; odd++) {
                    const int64_t channel = step->factor[half].channel + input + odd;
                    x[odd] = _mm512_i32gather_ps(
                        outputs, from + row * strides[0] + step->factor[half].column * strides[1] + channel * strides[2], 4);
                }
                const __m256i even = high_half(x[0]), odd = high_half(x[1]);
                const __m512i high = _mm512_or_si512(
                    _mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
                const __m512i low = _mm512_or_si512(
                    _mm512_cvtepu16_epi32(low_half(x[0], even)),
                    _mm512_slli_epi32(_mm512_cvtepu16_epi32(low_half(x[1], odd)), 16));
                _mm512_storeu_si512(to, high);
                _mm512_storeu_si512(to + TILE, low);
            }
        }
        steps += n_steps;
        kernel += (int64_t)n_tiles * n_steps * 2 * TILE;
    }
}
