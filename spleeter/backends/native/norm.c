/* Gradients of norms with fixed statistics, scale · x + shift by channel, and the activation before or after them.

In one pass over memory, by blocks of pixels: sums over a block are of float32, sums of these of double precision. */

#include <omp.h>
#include <stdlib.h>

#include "activation.h"
#include "split.h"

enum { BLOCK = 256 };

typedef struct {
    const float *gradient;          /* (pixels, channels) of the output, */
    int64_t pitch;                  /* with so many numbers from one pixel to the next */
    const float *x;                 /* (pixels, channels): what is scaled */
    const float *scale, *shift;     /* of each channel; shift is only for an activation that comes after */
    int32_t n_pixels, n_channels;
    int32_t is_activated;           /* whether x is what the activation gave, or else the activation comes after */
    Activation activation;
    float *of_x;                    /* (pixels, channels): of x, or of what was activated to x */
    float *of_scale, *of_shift;     /* of each channel */
} Norm;

/* Sixteen channels of a block of pixels: write the gradient of x, and add up those of scale and shift. */
static void differentiate(const Norm *norm, int32_t first, int32_t last, int32_t channel, double *sums) {
    const __m512 scale = _mm512_loadu_ps(norm->scale + channel);
    const __m512 shift = norm->is_activated ? _mm512_setzero_ps() : _mm512_loadu_ps(norm->shift + channel);
    __m512 of_scale = _mm512_setzero_ps(), of_shift = of_scale;
    for (int64_t pixel = first; pixel < last; pixel++) {
        const __m512 x = _mm512_loadu_ps(norm->x + pixel * norm->n_channels + channel);
        __m512 gradient = _mm512_loadu_ps(norm->gradient + pixel * norm->pitch + channel);
        if (!norm->is_activated) {
            const __m512 y = activated(_mm512_fmadd_ps(x, scale, shift), norm->activation);
            gradient = before_activation(gradient, y, norm->activation);
        }
        of_shift = _mm512_add_ps(of_shift, gradient);
        of_scale = _mm512_fmadd_ps(gradient, x, of_scale);
        gradient = _mm512_mul_ps(gradient, scale);
        if (norm->is_activated) gradient = before_activation(gradient, x, norm->activation);
        _mm512_storeu_ps(norm->of_x + pixel * norm->n_channels + channel, gradient);
    }
    float of_block[2][LANES];
    _mm512_storeu_ps(of_block[0], of_scale);
    _mm512_storeu_ps(of_block[1], of_shift);
    for (int32_t i = 0; i < LANES; i++) {
        sums[channel + i] += of_block[0][i];
        sums[norm->n_channels + channel + i] += of_block[1][i];
    }
}

/* Fill the gradients, by `n_threads` threads. Returns 0 only if there is no memory. */
int32_t differentiate_norm(const Norm *norm, int32_t n_threads) {
    const int32_t n_sums = 2 * norm->n_channels, n_blocks = quotient_up(norm->n_pixels, BLOCK);
    double *sums = calloc((int64_t)n_threads * n_sums, sizeof *sums);
    if (!sums) return 0;
#pragma omp parallel num_threads(n_threads)
    {
        double *own = sums + (int64_t)omp_get_thread_num() * n_sums;
#pragma omp for schedule(static)
        for (int32_t block = 0; block < n_blocks; block++) {
            const int32_t first = block * BLOCK, last = least(first + BLOCK, norm->n_pixels);
            for (int32_t channel = 0; channel < norm->n_channels; channel += LANES)
                differentiate(norm, first, last, channel, own);
        }
    }
    for (int32_t thread = 1; thread < n_threads; thread++)
        for (int32_t i = 0; i < n_sums; i++) sums[i] += sums[(int64_t)thread * n_sums + i];
    for (int32_t channel = 0; channel < norm->n_channels; channel++) {
        norm->of_scale[channel] = sums[channel];
        norm->of_shift[channel] = sums[norm->n_channels + channel];
    }
    free(sums);
    return 1;
}
