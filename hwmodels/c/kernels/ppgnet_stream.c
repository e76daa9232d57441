/* What an incremental network adds: rows of earlier steps before the new ones, and the way to a fresh start. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

/* A word anywhere: rows of one or three channels start between word boundaries. */
typedef uint32_t __attribute__((may_alias, aligned(1))) loose_word;

PPGNET_INLINE void move(int8_t *to, const int8_t *from, uint32_t bytes)
{
    for (; bytes >= 16; bytes -= 16, to += 16, from += 16) {
        loose_word *out = (loose_word *)to;
        const loose_word *in = (const loose_word *)from;
        uint32_t first = in[0], second = in[1], third = in[2], fourth = in[3];
        out[0] = first;
        out[1] = second;
        out[2] = third;
        out[3] = fourth;
    }
    for (; bytes >= 4; bytes -= 4, to += 4, from += 4)
        *(loose_word *)to = *(const loose_word *)from;
    for (; bytes != 0; bytes--)
        *to++ = *from++;
}

/* `scratch` is the history's own place, which outlives the step. */
void ppgnet_history(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    const ppgnet_history_parameters *history = parameters;
    int8_t *out = output;
    move(out, scratch, history->state_bytes);
    move(out + history->state_bytes, input, history->new_bytes);
    move(scratch, out + history->new_bytes, history->state_bytes);
}

PPGNET_SMALL void ppgnet_forget(const ppgnet_network *network, int8_t *arena)
{
    for (uint32_t index = 0; index < network->count; index++) {
        const ppgnet_step *step = &network->steps[index];
        if (step->kernel != ppgnet_history)
            continue;
        const ppgnet_history_parameters *history = step->parameters;
        for (uint32_t byte = 0; byte < history->state_bytes; byte++)
            arena[step->scratch + byte] = (int8_t)history->zero_point;
    }
}
