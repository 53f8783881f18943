/* Activations and their derivatives, for a vector of 16 float32. */

#pragma once

#include <immintrin.h>
#include <stdint.h>

typedef struct {
    int32_t is_elu; /* ELU with alpha 1: exp(x) - 1 below zero; else leaky ReLU, */
    float slope;    /* slope · x below zero: 0 is ReLU, 1 the identity */
} Activation;

/* exp(x) for x <= 0, to 2e-7: 2^n · exp(rest) with |rest| <= ln(2) / 2, by the Taylor series to the 7th power. */
static inline __m512 exp_nonpositive(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-87));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 rest = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x); /* ln(2) as a sum of two constants */
    rest = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), rest);
    __m512 sum = _mm512_set1_ps(1.f / 5040);
    const float coefficients[] = {1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, 0.5f, 1, 1};
    for (int i = 0; i < 7; i++) sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(coefficients[i]));
    return _mm512_scalef_ps(sum, n);
}

static inline __m512 activate(__m512 x, Activation activation) {
    const __mmask16 below = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    if (activation.is_elu) return _mm512_mask_sub_ps(x, below, exp_nonpositive(x), _mm512_set1_ps(1));
    return _mm512_mask_mul_ps(x, below, x, _mm512_set1_ps(activation.slope));
}

/* Backward pass: the gradient of the activation's input, from that of its output `y`. */
static inline __m512 activation_backward(__m512 grad_output, __m512 y, Activation activation) {
    const __mmask16 below = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_LE_OQ);
    const __m512 slope = activation.is_elu ? _mm512_add_ps(y, _mm512_set1_ps(1)) : _mm512_set1_ps(activation.slope);
    return _mm512_mask_mul_ps(grad_output, below, grad_output, slope);
}
