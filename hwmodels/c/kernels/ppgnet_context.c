/* Filters along successive windows. `scratch` is a context's own place, which outlives the step: the slot of the
   oldest step, then a ring of slots, words of four channels at one place, place by place for the first four
   channels, then for the next. The newest step takes the oldest one's slot once that has been read.

   The data are, for every four channels, those of the first and third, then those of the others: a word for each
   tap, oldest first, of twice the weights as int16; then for both channels twice the bias (the input's zero point
   folded in), the multiplier, the offset and the shift less one. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

PPGNET_INLINE uint32_t oldest_slot(uint32_t kept, uint32_t slots)
{
    return kept * (kept < slots); /* never outside of the ring, whatever lay there */
}

/* Where the ring goes on `steps` later, which are at most as many as it has slots. */
PPGNET_INLINE uint32_t slot_after(uint32_t slot, uint32_t steps, uint32_t slots)
{
    int32_t past = (int32_t)(slot + steps - slots);
    return (uint32_t)past + (slots & (uint32_t)(past >> 31));
}

PPGNET_INLINE int32_t requantized(int32_t doubled, const ppgnet_word *record)
{
    return ppgnet_requantize(doubled, (int32_t)record[1], (int32_t)record[3], (int32_t)record[2]);
}

/* One place's word of four channels. */
PPGNET_INLINE uint32_t filtered(const uint32_t *x, const ppgnet_word *record, uint32_t taps)
{
    int32_t made[4];
    for (uint32_t half = 0; half < 2; half++, record += taps + 8) {
        int32_t first = (int32_t)record[taps], second = (int32_t)record[taps + 4];
        for (uint32_t tap = 0; tap < taps; tap++) {
            uint32_t wide = half ? ppgnet_sxtb16_odd(x[tap]) : ppgnet_sxtb16(x[tap]);
            first = ppgnet_smla_bottoms(wide, record[tap], first);
            second = ppgnet_smla_tops(wide, record[tap], second);
        }
        made[half] = requantized(first, record + taps);
        made[half + 2] = requantized(second, record + taps + 4);
    }
    return ppgnet_pack_bytes(made[0], made[1], made[2], made[3]);
}

void ppgnet_copy_words(void *output, const void *input, uint32_t count)
{
    ppgnet_word *to = output;
    const ppgnet_word *from = input;
    for (; count >= 4; count -= 4, to += 4, from += 4) {
        uint32_t first = from[0], second = from[1], third = from[2], fourth = from[3];
        to[0] = first;
        to[1] = second;
        to[2] = third;
        to[3] = fourth;
    }
    for (; count != 0; count--)
        *to++ = *from++;
}

PPGNET_INLINE void context(
    const ppgnet_context_parameters *made, const int8_t *input, int8_t *output, void *scratch, uint32_t taps)
{
    uint32_t length = made->length, channels = made->channels, row = channels / 4;
    uint32_t slots = made->slots, slot_words = length * made->remembers / 4;
    ppgnet_word *state = scratch, *ring = state + 1, *columns[8];
    const ppgnet_word *record = made->data;
    uint32_t oldest = oldest_slot(state[0], slots);
    state[0] = slot_after(oldest, 1, slots);
    columns[0] = ring + oldest * slot_words;
    for (uint32_t tap = 1; tap + 1 < taps; tap++)
        columns[tap] = ring + slot_after(oldest, tap * made->dilation, slots) * slot_words;
    ppgnet_copy_words(output, input, length * row);
    for (uint32_t four = 0; four < made->remembers / 4; four++, record += 2 * (taps + 8)) {
        const ppgnet_word *in = (const ppgnet_word *)input + four;
        ppgnet_word *out = (ppgnet_word *)output + four;
        for (uint32_t left = length; left != 0; left--, in += row, out += row) {
            uint32_t x[8];
            for (uint32_t tap = 0; tap + 1 < taps; tap++)
                x[tap] = *columns[tap];
            x[taps - 1] = *in;
            *columns[0] = x[taps - 1];
            for (uint32_t tap = 0; tap + 1 < taps; tap++)
                columns[tap]++;
            *out = filtered(x, record, taps);
        }
    }
}

#define CONTEXT(taps) \
    void ppgnet_context_##taps( \
        const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch) \
    { \
        (void)second; \
        context(parameters, input, output, scratch, taps); \
    }

CONTEXT(2)
CONTEXT(3)
CONTEXT(4)

PPGNET_SMALL void ppgnet_context_exact(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    const ppgnet_context_parameters *made = parameters;
    const ppgnet_exact_data *data = made->data;
    uint32_t length = made->length, remembers = made->remembers, slots = made->slots;
    ppgnet_word *state = scratch;
    int8_t *ring = (int8_t *)(state + 1), *out = output;
    uint32_t oldest = oldest_slot(state[0], slots);
    state[0] = slot_after(oldest, 1, slots);
    for (uint32_t place = 0; place < length; place++) {
        for (uint32_t channel = 0; channel < made->channels; channel++) {
            int32_t newest = *input++;
            if (channel >= remembers) {
                *out++ = (int8_t)newest;
                continue;
            }
            int8_t *at = ring + (channel / 4 * length + place) * 4 + channel % 4;
            const int8_t *weight = data->weight + channel;
            int32_t sum = data->bias[channel];
            uint32_t slot = oldest;
            for (uint32_t tap = 1; tap < made->kernel; tap++, weight += remembers) {
                sum += *weight * (at[slot * length * remembers] - made->zero_point);
                slot = slot_after(slot, made->dilation, slots);
            }
            sum += *weight * (newest - made->zero_point);
            at[oldest * length * remembers] = (int8_t)newest;
            sum = ppgnet_multiply(sum, data->multiplier[channel], data->shift[channel]) + made->zero_point;
            *out++ = (int8_t)ppgnet_clamp(sum, data->lowest);
        }
    }
}

PPGNET_SMALL void ppgnet_forget_contexts(const ppgnet_network *network, int8_t *arena)
{
    for (uint32_t index = 0; index < network->count; index++) {
        const ppgnet_step *step = &network->steps[index];
        if (step->scratch == 0 || step->second != step->scratch)
            continue;
        const ppgnet_context_parameters *made = step->parameters;
        ppgnet_word *state = (ppgnet_word *)(arena + step->scratch);
        uint32_t words = (uint32_t)made->slots * made->length * made->remembers / 4;
        *state++ = 0;
        for (; words != 0; words--)
            *state++ = (uint8_t)made->zero_point * 0x01010101u;
    }
}
