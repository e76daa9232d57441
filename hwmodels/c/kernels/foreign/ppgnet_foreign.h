/* What other people's networks compute and ours do not. The first kernels are exact and fast; those named plain are
   simple loops, whose cycles are an upper bound on what a tuned kernel takes. Conventions are those of
   ppgnet_kernels.h; tensors of floats are so many bytes. */
#ifndef PPGNET_FOREIGN_H
#define PPGNET_FOREIGN_H

#include "ppgnet_kernels.h"

/* Any function of one int8 value: its 256 outputs, by the input's bits; words of four elements. */
typedef struct {
    const uint8_t *table;
    uint32_t words;
} ppgnet_lookup_parameters;

/* Windows along time; what lies outside of the input takes no part. */
typedef struct {
    uint32_t length_in, channels, length_out, kernel, stride, padding_before;
} ppgnet_window_parameters;

/* `runs` runs of `bytes` bytes each; distances from one run to the next. */
typedef struct {
    uint32_t runs, bytes, step_in, step_out;
} ppgnet_copy_parameters;

/* `rows` rows of `bytes` bytes, with so many bytes of fill before and after each, and before and after them all. */
typedef struct {
    uint32_t before, rows, left, bytes, right, after;
    int32_t value;
} ppgnet_pad_parameters;

/* Two operands, each with the distance from one row and from one channel to the next, 0 where it is repeated; the
   second is `constant` unless that is NULL. Zero points, multipliers and shifts as in ppgnet_add_exact_parameters. */
typedef struct {
    const int8_t *constant;
    uint32_t rows, channels, first_row, first_channel, second_row, second_channel;
    int32_t zero_points[3], multipliers[3], shifts[3];
    int32_t lowest;
} ppgnet_pair_parameters;

/* Elements of the output along four axes, the last one first, and the distance in the input along each. */
typedef struct {
    uint32_t sizes[4];
    int32_t steps[4];
} ppgnet_move_parameters;

typedef struct {
    uint32_t rows, channels;
    const uint16_t *exponentials;
} ppgnet_softmax_parameters;

/* real = factor * (q - zero_point); the factor's reciprocal where reals become integers. */
typedef struct {
    float factor;
    int32_t zero_point;
    uint32_t elements;
} ppgnet_grid_parameters;

ppgnet_kernel ppgnet_lookup, ppgnet_max_pool, ppgnet_copy_runs, ppgnet_pad;
ppgnet_kernel ppgnet_plain_max_pool, ppgnet_plain_average, ppgnet_plain_sum, ppgnet_plain_product;
ppgnet_kernel ppgnet_plain_softmax, ppgnet_plain_move, ppgnet_plain_quantize, ppgnet_plain_dequantize;

#endif
