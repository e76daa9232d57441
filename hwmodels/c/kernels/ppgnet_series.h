/* The heart of depthwise convolutions: four outputs of four channels at a time. */
#ifndef PPGNET_SERIES_H
#define PPGNET_SERIES_H

#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

/* A place in scratch that takes a word on any machine: its address, or its offset where addresses are longer. */
#if UINTPTR_MAX == UINT32_MAX
#define PPGNET_PLACE(scratch, at) ((void)(scratch), (uint32_t)(uintptr_t)(at))
#define PPGNET_AT(scratch, place) ((void)(scratch), (ppgnet_word *)(uintptr_t)(place))
#else
#define PPGNET_PLACE(scratch, at) ((uint32_t)((at) - (scratch)))
#define PPGNET_AT(scratch, place) ((scratch) + (place))
#endif

/* Four outputs next to each other in their class: the place where their samples begin, words (pair, channel),
   and the offset of the first. */
typedef struct {
    uint32_t samples, output;
} ppgnet_series_group;

/* The assembly knows the order of the first five members; `rounding` is 2 * zero point of the output + 1. */
typedef struct {
    const ppgnet_series_group *groups, *groups_end;
    int8_t *output;
    uint32_t step; /* bytes between outputs */
    int32_t rounding;
    uint32_t kernel, spacing;
    ppgnet_word *scratch;
} ppgnet_series_job;

/* All groups of the four channels whose records begin at `record`. */
typedef void ppgnet_series(const ppgnet_series_job *job, const ppgnet_word *record);

/* With a fused ReLU or without, unrolled for so many taps; "spaced" ones for outputs two samples apart; and for
   anything. */
ppgnet_series ppgnet_series_relu_3, ppgnet_series_relu_5, ppgnet_series_relu_7, ppgnet_series_relu_9;
ppgnet_series ppgnet_series_linear_3, ppgnet_series_linear_5, ppgnet_series_linear_7, ppgnet_series_linear_9;
ppgnet_series ppgnet_series_spaced_3, ppgnet_series_spaced_5, ppgnet_series_spaced_7, ppgnet_series_spaced_9;
ppgnet_series ppgnet_series_relu_11, ppgnet_series_relu_13, ppgnet_series_relu_15;
ppgnet_series ppgnet_series_relu_17, ppgnet_series_relu_19, ppgnet_series_relu_21;
ppgnet_series ppgnet_series_relu_23, ppgnet_series_relu_25, ppgnet_series_relu_27;
ppgnet_series ppgnet_series_relu_29, ppgnet_series_relu_31, ppgnet_series_relu_33;
ppgnet_series ppgnet_series_linear_11, ppgnet_series_linear_13, ppgnet_series_linear_15;
ppgnet_series ppgnet_series_linear_17, ppgnet_series_linear_19, ppgnet_series_linear_21;
ppgnet_series ppgnet_series_linear_23, ppgnet_series_linear_25, ppgnet_series_linear_27;
ppgnet_series ppgnet_series_linear_29, ppgnet_series_linear_31, ppgnet_series_linear_33;
ppgnet_series ppgnet_series_any;

/* The pair of two rows' words as words of int16, channel by channel; returns the end. */
PPGNET_INLINE ppgnet_word *ppgnet_pair_up(uint32_t first, uint32_t second, ppgnet_word *to)
{
    uint32_t first_even = ppgnet_sxtb16(first), first_odd = ppgnet_sxtb16_odd(first);
    uint32_t second_even = ppgnet_sxtb16(second), second_odd = ppgnet_sxtb16_odd(second);
    to[0] = ppgnet_pack_bottoms(first_even, second_even);
    to[1] = ppgnet_pack_bottoms(first_odd, second_odd);
    to[2] = ppgnet_pack_tops(first_even, second_even);
    to[3] = ppgnet_pack_tops(first_odd, second_odd);
    return to + 4;
}

/* Pairs of samples of four channels from offset `input` on, `apart` bytes apart, to a place in scratch. */
typedef struct {
    uint32_t input, pairs, to;
} ppgnet_series_run;
void ppgnet_gather_series(const ppgnet_series_run *runs, const ppgnet_series_run *end, const int8_t *input,
    uint32_t apart, ppgnet_word *scratch);

#endif
