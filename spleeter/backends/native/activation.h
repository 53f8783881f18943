/* Activations of sixteen numbers. */

#pragma once

#include <immintrin.h>
#include <stdint.h>

typedef struct {
    int32_t is_elu; /* exp(x) - 1 below zero, or else */
    float slope;    /* slope · x below zero */
} Activation;

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

/* What an activation that gave `y` makes of a gradient. */
static inline __m512 before_activation(__m512 gradient, __m512 y, Activation activation) {
    const __mmask16 below = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_LE_OQ);
    const __m512 slope = activation.is_elu ? _mm512_add_ps(y, _mm512_set1_ps(1)) : _mm512_set1_ps(activation.slope);
    return _mm512_mask_mul_ps(gradient, below, gradient, slope);
}
