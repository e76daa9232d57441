/* The heart of convolutions: all outputs of four positions, two outputs at a time. */
#ifndef PPGNET_TILE_H
#define PPGNET_TILE_H

#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

/* `columns` are widened inputs as words of two values: pair by pair, in each the four positions. The assembly
   knows the order of these members. */
typedef struct {
    uint32_t channels_out;
    int32_t rounding;            /* 2 * zero point of the output + 1 */
    const uint32_t *columns_end; /* behind the last pair */
} ppgnet_tile_shape;

typedef void ppgnet_tile(
    const ppgnet_word *stream, const uint32_t *columns, int8_t *output, const ppgnet_tile_shape *shape);

/* With a fused ReLU or without; unrolled for so many pairs, or for any even number from four on. */
ppgnet_tile ppgnet_tile_relu_3, ppgnet_tile_relu_4, ppgnet_tile_relu_5, ppgnet_tile_relu_6;
ppgnet_tile ppgnet_tile_relu_8, ppgnet_tile_relu_10, ppgnet_tile_relu_12, ppgnet_tile_relu_16;
ppgnet_tile ppgnet_tile_relu_any;
ppgnet_tile ppgnet_tile_linear_4, ppgnet_tile_linear_8, ppgnet_tile_linear_12, ppgnet_tile_linear_16;
ppgnet_tile ppgnet_tile_linear_any;

#endif
