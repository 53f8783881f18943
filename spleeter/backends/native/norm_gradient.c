/* Backward pass of batch norms with fixed statistics (scale · x + shift by channel), fused with that of the
activation before or after them.

One pass over memory, by blocks of pixels: sums over a block are float32, sums of blocks are double. */

#include <omp.h>
#include <stdlib.h>

#include "activation.h"
#include "amx.h"

enum { BLOCK_PIXELS = 256 };

typedef struct {
    const float *grad_output;       /* (pixels, channels), */
    int64_t pixel_stride;           /* with this stride, in floats, from one pixel to the next */
    const float *x;                 /* (pixels, channels): the input of the norm */
    const float *scale, *shift;     /* (channels,); shift is read only if the activation comes after the norm */
    int32_t n_pixels, n_channels;
    int32_t activation_first;       /* scale · activation(·) + shift, x being the activation's output; else
                                       activation(scale · x + shift) */
    Activation activation;
    float *grad_x;                  /* (pixels, channels): of x, or with activation_first of the activation's input */
    float *grad_scale, *grad_shift; /* (channels,) */
} NormGradient;

/* 16 channels of a block of pixels: write the gradient of x, and add to the sums for scale and shift. */
static void norm_block_backward(const NormGradient *norm, int32_t first, int32_t last, int32_t channel,
                                double *sums) {
    const __m512 scale = _mm512_loadu_ps(norm->scale + channel);
    const __m512 shift = norm->activation_first ? _mm512_setzero_ps() : _mm512_loadu_ps(norm->shift + channel);
    __m512 grad_scale = _mm512_setzero_ps(), grad_shift = grad_scale;
    for (int64_t pixel = first; pixel < last; pixel++) {
        const __m512 x = _mm512_loadu_ps(norm->x + pixel * norm->n_channels + channel);
        __m512 gradient = _mm512_loadu_ps(norm->grad_output + pixel * norm->pixel_stride + channel);
        if (!norm->activation_first) {
            const __m512 y = activate(_mm512_fmadd_ps(x, scale, shift), norm->activation);
            gradient = activation_backward(gradient, y, norm->activation);
        }
        grad_shift = _mm512_add_ps(grad_shift, gradient);
        grad_scale = _mm512_fmadd_ps(gradient, x, grad_scale);
        gradient = _mm512_mul_ps(gradient, scale);
        if (norm->activation_first) gradient = activation_backward(gradient, x, norm->activation);
        _mm512_storeu_ps(norm->grad_x + pixel * norm->n_channels + channel, gradient);
    }
    float block_sums[2][LANES];
    _mm512_storeu_ps(block_sums[0], grad_scale);
    _mm512_storeu_ps(block_sums[1], grad_shift);
    for (int32_t i = 0; i < LANES; i++) {
        sums[channel + i] += block_sums[0][i];
        sums[norm->n_channels + channel + i] += block_sums[1][i];
    }
}

/* Compute all gradients with `n_threads` threads. Returns 0 only if memory runs out. */
int32_t norm_backward(const NormGradient *norm, int32_t n_threads) {
    const int32_t n_sums = 2 * norm->n_channels, n_blocks = ceil_div(norm->n_pixels, BLOCK_PIXELS);
    double *sums = calloc((int64_t)n_threads * n_sums, sizeof *sums);
    if (!sums) return 0;
#pragma omp parallel num_threads(n_threads)
    {
        double *own = sums + (int64_t)omp_get_thread_num() * n_sums;
#pragma omp for schedule(static)
        for (int32_t block = 0; block < n_blocks; block++) {
            const int32_t first = block * BLOCK_PIXELS, last = min64(first + BLOCK_PIXELS, norm->n_pixels);
            for (int32_t channel = 0; channel < norm->n_channels; channel += LANES)
                norm_block_backward(norm, first, last, channel, own);
        }
    }
    for (int32_t thread = 1; thread < n_threads; thread++)
        for (int32_t i = 0; i < n_sums; i++) sums[i] += sums[(int64_t)thread * n_sums + i];
    for (int32_t channel = 0; channel < norm->n_channels; channel++) {
        norm->grad_scale[channel] = sums[channel];
        norm->grad_shift[channel] = sums[norm->n_channels + channel];
    }
    free(sums);
    return 1;
}
