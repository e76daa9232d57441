/* A block of a network in stripes: some rows of its input go through all of its operations before the next ones
   do, so that what lies between them never exists whole. */
#ifndef PPGNET_STRIPES_H
#define PPGNET_STRIPES_H

#include "ppgnet_kernels.h"

/* Offset that stands for the rows of the block's input that a stripe's outputs are added to. */
#define PPGNET_BESIDE 0xfffffffeu

/* Stripes alike. Their steps' offsets are into the block's scratch, but for PPGNET_BESIDE and PPGNET_FROM_CALLER, the
   new rows of the block's input; the last step makes the stripe's outputs. */
typedef struct {
    const ppgnet_step *steps;
    uint32_t count, repeats;
    uint32_t input_bytes;  /* new rows of the block's input */
    uint32_t filled_bytes; /* padding behind them */
    uint32_t passed_bytes; /* held rows that no later stripe needs */
    uint32_t output_bytes;
} ppgnet_stripe;

/* `before_bytes` of padding come before the first rows that are held at the start of scratch, `kept_bytes` go from
   stripe to stripe. Where `copies`, the rows held are the input's own, else the first step makes them. An output
   smaller than the input, of `settled_bytes`, is moved when it is whole. */
typedef struct {
    const ppgnet_stripe *stripes;
    uint32_t count, before_bytes, kept_bytes, copies, padding, settled_bytes;
} ppgnet_block;

/* `second` is where the output is made: over the input, or where it shall be. */
ppgnet_kernel ppgnet_stripes;
/* Words towards lower addresses, or between places that do not overlap. */
void ppgnet_move_rows(int8_t *to, const int8_t *from, uint32_t bytes);

#endif
