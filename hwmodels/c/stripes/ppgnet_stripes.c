/* The loop over a block's stripes. Channels come in fours, so that all rows are whole words. */
#include "ppgnet_stripes.h"
#include "ppgnet_shim.h"

PPGNET_INLINE void fill(int8_t *to, uint32_t word, uint32_t bytes)
{
    for (ppgnet_word *out = (ppgnet_word *)to, *end = out + bytes / 4; out != end; out++)
        *out = word;
}

/* From the last word to the first, towards higher addresses. */
PPGNET_INLINE void settle(void *to, const void *from, uint32_t bytes)
{
    ppgnet_word *first = to, *out = first + bytes / 4;
    const ppgnet_word *in = (const ppgnet_word *)from + bytes / 4;
    while (out != first)
        *--out = *--in;
}

PPGNET_UNIT void ppgnet_move_rows(int8_t *to, const int8_t *from, uint32_t bytes)
{
    ppgnet_word *out = (ppgnet_word *)to;
    const ppgnet_word *in = (const ppgnet_word *)from;
    for (; bytes >= 16; bytes -= 16, out += 4, in += 4) {
        uint32_t first = in[0], second = in[1], third = in[2], fourth = in[3];
        out[0] = first;
        out[1] = second;
        out[2] = third;
        out[3] = fourth;
    }
    for (; bytes != 0; bytes -= 4)
        *out++ = *in++;
}

PPGNET_INLINE const int8_t *place(uint32_t offset, const int8_t *held, const int8_t *input, const int8_t *beside)
{
    const int8_t *found = held + offset;
    if (offset == PPGNET_FROM_CALLER)
        found = input;
    if (offset == PPGNET_BESIDE)
        found = beside;
    return found;
}

PPGNET_SMALL void ppgnet_stripes(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    const ppgnet_block *block = parameters;
    int8_t *held = scratch, *out = (int8_t *)(uintptr_t)second;
    const int8_t *beside = input;
    uint32_t passed = 0;
    fill(held, block->padding, block->before_bytes);
    for (const ppgnet_stripe *stripe = block->stripes, *end = stripe + block->count; stripe != end; stripe++)
        for (uint32_t left = stripe->repeats; left != 0; left--) {
            if (passed != 0)
                ppgnet_move_rows(held, held + passed, block->kept_bytes);
            passed = stripe->passed_bytes;
            int8_t *stop = held + block->kept_bytes + passed - stripe->filled_bytes;
            fill(stop, block->padding, stripe->filled_bytes);
            if (block->copies)
                ppgnet_move_rows(stop - stripe->input_bytes, input, stripe->input_bytes);
            const ppgnet_step *step = stripe->steps, *last = step + stripe->count - 1;
            for (;; step++) {
                int8_t *made = step == last ? out : held + step->output;
                step->kernel(step->parameters, place(step->input, held, input, beside),
                    place(step->second, held, input, beside), made, held + step->scratch);
                if (step == last)
                    break;
            }
            input += stripe->input_bytes;
            beside += stripe->output_bytes;
            out += stripe->output_bytes;
        }
    settle(output, second, block->settled_bytes);
}
