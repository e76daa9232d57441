/* Filters along successive windows. `scratch` is a context's own place, which outlives the step: the slot of the
   oldest step, then a ring of slots, words of four channels at one place, place by place for the first four
   channels, then for the next. The newest step takes the oldest one's slot once that has been read.

   The data are, for every four channels: twice their biases (the input's zero point folded in); for each tap, oldest
   first, a word of twice the weights of the first and the third as int16, and one for the others; then of every
   channel the multiplier, the offset and the shift less one. Channels come in the order first, third, second,
   fourth. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

/* Four channels at all places. `written` and `later` are bytes from an input to its output, and from the oldest
   step's word to those of the taps in between. The assembly knows the order. */
typedef struct {
    intptr_t row, later[2];
    const ppgnet_word *record;
    const int8_t *input;
    intptr_t written;
    int8_t *oldest;
    uintptr_t places;
} ppgnet_context_job;

void ppgnet_context_four_2(const ppgnet_context_job *job);
void ppgnet_context_four_3(const ppgnet_context_job *job);
void ppgnet_context_four_4(const ppgnet_context_job *job);

#if PPGNET_DSP

/* On the stack the record, then row and later; r1 input, r2 written, r3 oldest, lr places. The order of
   instructions is the best found by search with the cycle model of hwmodels/device. */
#define FUNCTION(name, body) \
    __asm__(".pushsection .text." name ", \"ax\", %progbits\n" \
            ".syntax unified\n" \
            ".thumb\n" \
            ".p2align 2\n" \
            ".global " name "\n" \
            ".thumb_func\n" \
            ".type " name ", %function\n" name ":\n" body ".size " name ", . - " name "\n" \
            ".popsection\n")

#define FOUR(taps, words, body) \
    FUNCTION("ppgnet_context_four_" taps, \
            "push {r4-r11, lr}\n" \
            "ldm r0!, {r4-r7}\n" \
            "sub sp, sp, #4 * (" words " + 3)\n" \
            "add r9, sp, #4 * " words "\n" \
            "stm r9, {r4-r6}\n" \
            "ldm r0, {r1, r2, r3, lr}\n" \
            "mov r9, sp\n" \
            "mov r10, #" words " / 2\n" \
            "2:\n" \
            "ldm r7!, {r4, r5}\n" \
            "subs r10, #1\n" \
            "stm r9!, {r4, r5}\n" \
            "bne 2b\n" \
            ".p2align 2\n" \
            "1:\n" body \
            "add sp, sp, #4 * (" words " + 3)\n" \
            "pop {r4-r11, pc}\n")

FUNCTION("ppgnet_copy_words",
    "push {r4-r10, lr}\n"
    "subs r2, #8\n"
    "blo 2f\n"
    ".p2align 2\n"
    "1:\n"
    "ldm r1!, {r3-r10}\n"
    "subs r2, #8\n"
    "stm r0!, {r3-r10}\n"
    "bhs 1b\n"
    "2:\n"
    "adds r2, #8\n"
    "beq 4f\n"
    "3:\n"
    "ldr r3, [r1], #4\n"
    "subs r2, #1\n"
    "str r3, [r0], #4\n"
    "bne 3b\n"
    "4:\n"
    "pop {r4-r10, pc}\n");

FOUR("2", "20",
    "ldr r0, [r3]\n"
    "ldr r4, [sp, #24]\n"
    "ldr r5, [sp, #36]\n"
    "sxtb16 r6, r0\n"
    "ldr r7, [sp, #16]\n"
    "ldr r8, [sp, #4]\n"
    "ldr r9, [sp, #8]\n"
    "ldr r10, [sp, #20]\n"
    "ldr r11, [sp, #0]\n"
    "ldr r12, [sp, #12]\n"
    "smlatt r8, r6, r7, r8\n"
    "sxtb16 r0, r0, ror #8\n"
    "smlabb r11, r6, r7, r11\n"
    "smlatt r12, r0, r10, r12\n"
    "ldr r6, [r1]\n"
    "sxtb16 r7, r6\n"
    "smlabb r9, r0, r10, r9\n"
    "sxtb16 r10, r6, ror #8\n"
    "smlabb r11, r7, r4, r11\n"
    "smlatt r8, r7, r4, r8\n"
    "ldr r0, [sp, #28]\n"
    "str r6, [r3], #4\n"
    "ldr r4, [sp, #32]\n"
    "smlatt r12, r10, r0, r12\n"
    "ldr r7, [sp, #60]\n"
    "add r6, r5, r11, asr #31\n"
    "smmlar r11, r11, r4, r6\n"
    "ldr r5, [sp, #48]\n"
    "smlabb r9, r10, r0, r9\n"
    "ldr r4, [sp, #52]\n"
    "ldr r6, [sp, #56]\n"
    "ldr r10, [sp, #44]\n"
    "add r0, r5, r8, asr #31\n"
    "ldr r5, [sp, #72]\n"
    "add r7, r7, r9, asr #31\n"
    "smmlar r9, r9, r6, r7\n"
    "ldr r6, [sp, #64]\n"
    "add r7, r5, r12, asr #31\n"
    "ldr r5, [sp, #68]\n"
    "smmlar r8, r8, r10, r0\n"
    "ldr r10, [sp, #76]\n"
    "ldr r0, [sp, #40]\n"
    "asr r9, r9, r6\n"
    "smmlar r12, r12, r5, r7\n"
    "asr r11, r11, r0\n"
    "ssat r9, #8, r9, asr #1\n"
    "asr r8, r8, r4\n"
    "ssat r8, #8, r8, asr #1\n"
    "ssat r11, #8, r11, asr #1\n"
    "asr r12, r12, r10\n"
    "ssat r12, #8, r12, asr #1\n"
    "subs lr, lr, #1\n"
    "bfi r11, r9, #8, #8\n"
    "ldr r6, [sp, #80]\n"
    "bfi r11, r8, #16, #8\n"
    "bfi r11, r12, #24, #8\n"
    "str r11, [r1, r2]\n"
    "add r1, r1, r6\n"
    "bne 1b\n");
FOUR("3", "22",
    "ldr r0, [r3]\n"
    "ldr r4, [sp, #92]\n"
    "ldr r5, [sp, #16]\n"
    "sxtb16 r6, r0, ror #8\n"
    "ldr r7, [sp, #20]\n"
    "ldr r8, [sp, #8]\n"
    "ldr r9, [sp, #12]\n"
    "ldr r10, [r3, r4]\n"
    "smlatt r9, r6, r7, r9\n"
    "sxtb16 r11, r10, ror #8\n"
    "ldr r12, [sp, #28]\n"
    "smlabb r8, r6, r7, r8\n"
    "ldr r4, [r1]\n"
    "sxtb16 r6, r4, ror #8\n"
    "smlatt r9, r11, r12, r9\n"
    "sxtb16 r7, r0\n"
    "str r4, [r3], #4\n"
    "ldr r0, [sp, #36]\n"
    "smlabb r8, r11, r12, r8\n"
    "sxtb16 r11, r10\n"
    "ldr r12, [sp, #0]\n"
    "smlatt r9, r6, r0, r9\n"
    "ldr r10, [sp, #4]\n"
    "smlabb r8, r6, r0, r8\n"
    "ldr r6, [sp, #72]\n"
    "smlabb r12, r7, r5, r12\n"
    "ldr r0, [sp, #24]\n"
    "sxtb16 r4, r4\n"
    "smlatt r10, r7, r5, r10\n"
    "smlabb r12, r11, r0, r12\n"
    "ldr r5, [sp, #32]\n"
    "smlatt r10, r11, r0, r10\n"
    "ldr r7, [sp, #68]\n"
    "smlabb r12, r4, r5, r12\n"
    "ldr r11, [sp, #44]\n"
    "smlatt r10, r4, r5, r10\n"
    "ldr r0, [sp, #64]\n"
    "ldr r4, [sp, #40]\n"
    "add r5, r7, r8, asr #31\n"
    "smmlar r8, r8, r0, r5\n"
    "ldr r7, [sp, #56]\n"
    "ldr r0, [sp, #52]\n"
    "add r5, r11, r12, asr #31\n"
    "add r11, r7, r10, asr #31\n"
    "ldr r7, [sp, #80]\n"
    "asr r8, r8, r6\n"
    "ldr r6, [sp, #60]\n"
    "ssat r8, #8, r8, asr #1\n"
    "smmlar r10, r10, r0, r11\n"
    "ldr r0, [sp, #48]\n"
    "ldr r11, [sp, #76]\n"
    "smmlar r12, r12, r4, r5\n"
    "asr r10, r10, r6\n"
    "add r4, r7, r9, asr #31\n"
    "smmlar r9, r9, r11, r4\n"
    "ssat r10, #8, r10, asr #1\n"
    "ldr r5, [sp, #84]\n"
    "asr r12, r12, r0\n"
    "asr r9, r9, r5\n"
    "ssat r12, #8, r12, asr #1\n"
    "ldr r6, [sp, #88]\n"
    "ssat r9, #8, r9, asr #1\n"
    "bfi r12, r8, #8, #8\n"
    "bfi r12, r10, #16, #8\n"
    "subs lr, lr, #1\n"
    "bfi r12, r9, #24, #8\n"
    "str r12, [r1, r2]\n"
    "add r1, r1, r6\n"
    "bne 1b\n");
FOUR("4", "24",
    "ldr r0, [sp, #100]\n"
    "ldr r4, [sp, #16]\n"
    "ldr r5, [r3]\n"
    "ldr r6, [sp, #12]\n"
    "ldr r7, [sp, #8]\n"
    "sxtb16 r8, r5, ror #8\n"
    "ldr r9, [r3, r0]\n"
    "ldr r10, [sp, #104]\n"
    "ldr r11, [sp, #20]\n"
    "sxtb16 r12, r9, ror #8\n"
    "ldr r0, [sp, #0]\n"
    "sxtb16 r5, r5\n"
    "smlabb r7, r8, r11, r7\n"
    "smlatt r6, r8, r11, r6\n"
    "ldr r8, [r3, r10]\n"
    "ldr r11, [sp, #4]\n"
    "smlatt r11, r5, r4, r11\n"
    "ldr r10, [sp, #28]\n"
    "smlabb r0, r5, r4, r0\n"
    "sxtb16 r4, r9\n"
    "ldr r5, [sp, #24]\n"
    "sxtb16 r9, r8, ror #8\n"
    "smlatt r6, r12, r10, r6\n"
    "smlabb r7, r12, r10, r7\n"
    "ldr r12, [r1]\n"
    "smlabb r0, r4, r5, r0\n"
    "ldr r10, [sp, #32]\n"
    "sxtb16 r8, r8\n"
    "smlatt r11, r4, r5, r11\n"
    "smlatt r11, r8, r10, r11\n"
    "ldr r4, [sp, #40]\n"
    "smlabb r0, r8, r10, r0\n"
    "ldr r5, [sp, #36]\n"
    "ldr r10, [sp, #44]\n"
    "str r12, [r3], #4\n"
    "sxtb16 r8, r12\n"
    "smlabb r7, r9, r5, r7\n"
    "sxtb16 r12, r12, ror #8\n"
    "smlatt r11, r8, r4, r11\n"
    "smlatt r6, r9, r5, r6\n"
    "ldr r9, [sp, #52]\n"
    "smlabb r7, r12, r10, r7\n"
    "ldr r5, [sp, #48]\n"
    "smlabb r0, r8, r4, r0\n"
    "ldr r4, [sp, #76]\n"
    "ldr r8, [sp, #72]\n"
    "smlatt r6, r12, r10, r6\n"
    "ldr r10, [sp, #64]\n"
    "add r12, r4, r7, asr #31\n"
    "ldr r4, [sp, #84]\n"
    "add r9, r9, r0, asr #31\n"
    "smmlar r0, r0, r5, r9\n"
    "ldr r5, [sp, #88]\n"
    "add r9, r10, r11, asr #31\n"
    "ldr r10, [sp, #60]\n"
    "smmlar r7, r7, r8, r12\n"
    "ldr r8, [sp, #68]\n"
    "ldr r12, [sp, #56]\n"
    "add r5, r5, r6, asr #31\n"
    "smmlar r11, r11, r10, r9\n"
    "ldr r9, [sp, #80]\n"
    "asr r7, r7, r9\n"
    "smmlar r6, r6, r4, r5\n"
    "subs lr, lr, #1\n"
    "ldr r10, [sp, #92]\n"
    "ssat r7, #8, r7, asr #1\n"
    "asr r11, r11, r8\n"
    "ssat r11, #8, r11, asr #1\n"
    "asr r0, r0, r12\n"
    "ssat r0, #8, r0, asr #1\n"
    "asr r6, r6, r10\n"
    "ssat r6, #8, r6, asr #1\n"
    "bfi r0, r7, #8, #8\n"
    "ldr r9, [sp, #96]\n"
    "bfi r0, r11, #16, #8\n"
    "bfi r0, r6, #24, #8\n"
    "str r0, [r1, r2]\n"
    "add r1, r1, r9\n"
    "bne 1b\n");

#else

void ppgnet_copy_words(void *output, const void *input, uint32_t words)
{
    for (uint32_t word = 0; word < words; word++)
        ((ppgnet_word *)output)[word] = ((const ppgnet_word *)input)[word];
}

PPGNET_INLINE void four(const ppgnet_context_job *job, uint32_t taps)
{
    const int8_t *in = job->input;
    int8_t *oldest = job->oldest;
    for (uintptr_t place = 0; place < job->places; place++, in += job->row, oldest += 4) {
        const ppgnet_word *pair = job->record + 4;
        int32_t made[4];
        for (uint32_t channel = 0; channel < 4; channel++)
            made[channel] = (int32_t)job->record[channel];
        for (uint32_t tap = 0; tap < taps; tap++, pair += 2) {
            const int8_t *column = tap == 0 ? oldest : tap == taps - 1 ? in : oldest + job->later[tap - 1];
            uint32_t word = *(const ppgnet_word *)column, even = ppgnet_sxtb16(word), odd = ppgnet_sxtb16_odd(word);
            made[0] = ppgnet_smla_bottoms(even, pair[0], made[0]);
            made[1] = ppgnet_smla_tops(even, pair[0], made[1]);
            made[2] = ppgnet_smla_bottoms(odd, pair[1], made[2]);
            made[3] = ppgnet_smla_tops(odd, pair[1], made[3]);
        }
        for (uint32_t channel = 0; channel < 4; channel++, pair += 3)
            made[channel] = ppgnet_requantize(made[channel], (int32_t)pair[0], (int32_t)pair[2], (int32_t)pair[1]);
        *(ppgnet_word *)oldest = *(const ppgnet_word *)in;
        *(ppgnet_word *)(uintptr_t)(in + job->written) = ppgnet_pack_bytes(made[0], made[2], made[1], made[3]);
    }
}

void ppgnet_context_four_2(const ppgnet_context_job *job)
{
    four(job, 2);
}

void ppgnet_context_four_3(const ppgnet_context_job *job)
{
    four(job, 3);
}

void ppgnet_context_four_4(const ppgnet_context_job *job)
{
    four(job, 4);
}

#endif

/* The slot is never outside of the ring, whatever lay there. */
PPGNET_INLINE uint32_t oldest_slot(uint32_t kept, uint32_t slots)
{
    return kept * (kept < slots);
}

/* Where the ring goes on `steps` later, which are at most as many as it has slots. */
PPGNET_INLINE uint32_t slot_after(uint32_t slot, uint32_t steps, uint32_t slots)
{
    int32_t past = (int32_t)(slot + steps - slots);
    return (uint32_t)past + (slots & (uint32_t)(past >> 31));
}

/* `second` carries the function for the context's taps. */
PPGNET_UNIT void ppgnet_context(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    const ppgnet_context_parameters *made = parameters;
    void (*const filter)(const ppgnet_context_job *) = (void (*)(const ppgnet_context_job *))(uintptr_t)second;
    uint32_t slots = made->slots, slot_bytes = (uint32_t)made->length * made->remembers;
    ppgnet_word *state = scratch;
    uint32_t oldest = oldest_slot(state[0], slots);
    uint32_t first = slot_after(oldest, made->dilation, slots), next = slot_after(first, made->dilation, slots);
    state[0] = slot_after(oldest, 1, slots);
    ppgnet_copy_words(output, input, (uint32_t)made->length * made->channels / 4);
    ppgnet_context_job job = {made->channels,
        {(intptr_t)(first * slot_bytes) - (intptr_t)(oldest * slot_bytes),
            (intptr_t)(next * slot_bytes) - (intptr_t)(oldest * slot_bytes)},
        made->data, input, (intptr_t)((uintptr_t)output - (uintptr_t)input),
        (int8_t *)(state + 1) + oldest * slot_bytes, made->length};
    for (uint32_t four = made->remembers / 4; four != 0; four--) {
        filter(&job);
        job.record += 2 * made->kernel + 16;
        job.input += 4;
        job.oldest += 4 * made->length;
    }
}

#define CONTEXT(taps) \
    void ppgnet_context_##taps( \
        const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch) \
    { \
        (void)second; \
        ppgnet_context(parameters, input, (const int8_t *)(uintptr_t)&ppgnet_context_four_##taps, output, scratch); \
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
