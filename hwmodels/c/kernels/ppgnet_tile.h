/* The heart of convolutions: all outputs of four positions, two outputs at a time. */
#ifndef PPGNET_TILE_H
#define PPGNET_TILE_H

#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

/* `tiles` tiles one behind the other. Their widened inputs go to `columns` as words of two values: pair by pair,
   in each the four positions. With 0 taps they lie there already; else each tap's `words` words of four rows,
   `pitch` bytes apart, are widened, taps lie `tap_bytes` apart, tiles `advance` bytes. The assembly knows the
   order of these members. */
typedef struct {
    int8_t *output;
    uint32_t channels_out;
    int32_t rounding; /* 2 * zero point of the output + 1 */
    uint32_t *columns;
    const uint32_t *columns_end; /* behind the last pair */
    const ppgnet_word *stream;
    const int8_t *input;
    uint32_t pitch, taps, tap_bytes, words, tiles, advance;
} ppgnet_tile_job;

typedef void ppgnet_tile(const ppgnet_tile_job *job);

/* `words` words from each of four rows, to pairs of bytes 0 and 2 and of bytes 1 and 3. */
uint32_t *ppgnet_widen_rows(const int8_t *const *rows, uint32_t words, uint32_t *columns);

/* With a fused ReLU or without; unrolled for so many pairs, or for any even number from four on. */
ppgnet_tile ppgnet_tile_relu_3, ppgnet_tile_relu_4, ppgnet_tile_relu_5, ppgnet_tile_relu_6;
ppgnet_tile ppgnet_tile_relu_8, ppgnet_tile_relu_10, ppgnet_tile_relu_12, ppgnet_tile_relu_16;
ppgnet_tile ppgnet_tile_relu_any;
ppgnet_tile ppgnet_tile_linear_4, ppgnet_tile_linear_8, ppgnet_tile_linear_12, ppgnet_tile_linear_16;
ppgnet_tile ppgnet_tile_linear_any;

#endif
