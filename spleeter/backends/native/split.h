/* Numbers of float32 as sums of bfloat16, and AMX, the matrix unit of newer x86 servers, which multiplies these.

A number is taken apart into one part, the nearest bfloat16, or into two, the second being the nearest to what the
first leaves over. Numbers of one part are multiplied as bfloat16 is; of numbers of two parts, all products but that of
the second parts are added up, which leaves out some 2^-17 of the whole. That is what torch calls the precision "high"
of float32, and others BF16x3 (Henry, Tang and Heinecke, "Leveraging the bfloat16 artificial intelligence datatype for
higher-precision computations", ARITH 2019). AMX adds in float32.

A tile of AMX holds 16 rows of 32 numbers. It is multiplied by one that has in each row, for 16 columns in turn, the
numbers of two of the 32 rows of the second factor. */

#pragma once

#include <immintrin.h>
#include <stdint.h>

enum {
    LANES = 16,           /* rows and columns of a product, and what channels are counted in */
    DEPTH = 2 * LANES,    /* numbers whose products are added up at once */
    TILE = LANES * DEPTH, /* numbers of a tile */
};

typedef uint16_t bfloat16;

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t quotient_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Have all that was written be in memory: compilers do not know what AMX reads. */
static inline void finish_writing(void) { __asm__ volatile("" ::: "memory"); }

static inline void configure_tiles(void) {
    struct { uint8_t palette, start_row, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } configuration = {0};
    configuration.palette = 1;
    for (int tile = 0; tile < 8; tile++) {
        configuration.bytes[tile] = 64;
        configuration.rows[tile] = LANES;
    }
    finish_writing();
    _tile_loadconfig(&configuration);
}

/* The nearest bfloat16, and what it leaves over. */
static inline __m256i take_part(__m512 *x) {
    const __m256i part = (__m256i)_mm512_cvtneps_pbh(*x);
    *x = _mm512_sub_ps(*x, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(part), 16)));
    return part;
}

/* Write the parts of 16 numbers, `distance` from one to the next. */
static inline void put_parts(__m512 x, int32_t n_parts, int64_t distance, bfloat16 *to) {
    for (int32_t part = 0; part < n_parts; part++, to += distance)
        _mm256_storeu_si256((__m256i *)to, take_part(&x));
}

/* Write the parts of twice 16 numbers in turn, as a row of a second factor, from tile to tile. */
static inline void put_pair(__m512 even, __m512 odd, int32_t n_parts, bfloat16 *to) {
    for (int32_t part = 0; part < n_parts; part++, to += TILE) {
        const __m512i first = _mm512_cvtepu16_epi32(take_part(&even));
        const __m512i second = _mm512_cvtepu16_epi32(take_part(&odd));
        _mm512_storeu_si512(to, _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
    }
}

/* 0, 1, ... times a distance: where the lanes of a vector lie. */
static inline __m512i lanes_apart(int64_t distance) {
    const __m512i numbers = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_mullo_epi32(numbers, _mm512_set1_epi32(distance));
}
