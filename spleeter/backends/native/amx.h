/* Operands of AMX, the matrix unit of newer x86 servers: bfloat16 tiles, and float32 split into bfloat16 components.

A float32 is split into one component, the nearest bfloat16, or into two (hi and lo), lo being the bfloat16 nearest to
x - hi. With one component, products are those of bfloat16; with two, hi·hi + hi·lo + lo·hi are summed and lo·lo is
dropped, an error of some 2^-17 of the product. This is what torch calls float32 matmul precision "high", and others
BF16x3 (Henry, Tang and Heinecke, "Leveraging the bfloat16 artificial intelligence datatype for higher-precision
computations", ARITH 2019). AMX accumulates in float32.

A tile of the left operand A holds 16 rows of 32 bfloat16, K_BLOCK consecutive values of the reduction dimension K. A
tile of the right operand B, 32 (K) × 16, is stored in the VNNI layout: row p holds, for each of the 16 columns in
turn, the pair of values at 2 p and 2 p + 1 along K. */

#pragma once

#include <immintrin.h>
#include <stdint.h>

enum {
    LANES = 16,             /* rows and columns of a product tile; channel counts are multiples of it */
    K_BLOCK = 2 * LANES,    /* length of a tile along the reduction dimension K */
    TILE = LANES * K_BLOCK, /* bfloat16 values of an operand tile */
};

typedef uint16_t bfloat16;

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Compiler barrier: all writes reach memory first, for compilers do not know what the tile loads read. */
static inline void compiler_barrier(void) { __asm__ volatile("" ::: "memory"); }

/* Configure all eight tiles as 16 rows of 64 bytes. */
static inline void configure_tiles(void) {
    struct { uint8_t palette, start_row, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } configuration = {0};
    configuration.palette = 1;
    for (int tile = 0; tile < 8; tile++) {
        configuration.bytes[tile] = 64;
        configuration.rows[tile] = LANES;
    }
    compiler_barrier();
    _tile_loadconfig(&configuration);
}

/* Split off a component: the bfloat16 nearest to *x. The remainder is left in *x. */
static inline __m256i split_component(__m512 *x) {
    const __m256i component = (__m256i)_mm512_cvtneps_pbh(*x);
    *x = _mm512_sub_ps(*x, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(component), 16)));
    return component;
}

/* Store the components of 16 values, `component_stride` apart. */
static inline void store_components(__m512 x, int32_t n_components, int64_t component_stride, bfloat16 *to) {
    for (int32_t component = 0; component < n_components; component++, to += component_stride)
        _mm256_storeu_si256((__m256i *)to, split_component(&x));
}

/* Store the components of a pair of 16 values as a row of B tiles (VNNI layout), a tile for each component. */
static inline void store_vnni_row(__m512 even, __m512 odd, int32_t n_components, bfloat16 *to) {
    for (int32_t component = 0; component < n_components; component++, to += TILE) {
        const __m512i first = _mm512_cvtepu16_epi32(split_component(&even));
        const __m512i second = _mm512_cvtepu16_epi32(split_component(&odd));
        _mm512_storeu_si512(to, _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
    }
}

/* 0, 1, ... 15 times a stride: the offsets of a gather or scatter. */
static inline __m512i lane_offsets(int64_t stride) {
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_mullo_epi32(lanes, _mm512_set1_epi32(stride));
}
