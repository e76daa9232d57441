/* The inputs of convolution outputs, gathered and widened: pairs of 2 * (value + 128), as ppgnet_tile.c reads
   them. Pairs that fill up a row may hold anything: their weights are 0. */
#include "ppgnet_tile.h"

#if PPGNET_DSP

/* r4, r7, r6, r5 rows, r1 words, r0 columns; r2 is kept, all else is not. */
__asm__(
    ".pushsection .text.ppgnet_widen, \"ax\", %progbits\n"
    ".syntax unified\n"
    ".thumb\n"
    ".p2align 2\n"
    ".global ppgnet_widen\n"
    ".thumb_func\n"
    ".type ppgnet_widen, %function\n"
    "ppgnet_widen:\n"
    "mov r8, #0x01fe0000\n"
    "orr r8, r8, r8, lsr #16\n"
    ".p2align 2\n"
    "1:\n"
    "ldr r9, [r4], #4\n"
    "ldr r10, [r7], #4\n"
    "eor r9, r9, #0x80808080\n"
    "ldr r11, [r6], #4\n"
    "eor r10, r10, #0x80808080\n"
    "and r3, r8, r9, lsl #1\n"
    "ldr r12, [r5], #4\n"
    "and r9, r8, r9, lsr #7\n"
    "str r3, [r0], #32\n"
    "and r3, r8, r10, lsl #1\n"
    "str r9, [r0, #-16]\n"
    "and r10, r8, r10, lsr #7\n"
    "str r3, [r0, #-28]\n"
    "eor r11, r11, #0x80808080\n"
    "str r10, [r0, #-12]\n"
    "and r3, r8, r11, lsl #1\n"
    "eor r12, r12, #0x80808080\n"
    "and r11, r8, r11, lsr #7\n"
    "str r3, [r0, #-24]\n"
    "and r3, r8, r12, lsl #1\n"
    "str r11, [r0, #-8]\n"
    "and r12, r8, r12, lsr #7\n"
    "str r3, [r0, #-20]\n"
    "subs r1, #1\n"
    "str r12, [r0, #-4]\n"
    "bne 1b\n"
    "bx lr\n"
    ".size ppgnet_widen, . - ppgnet_widen\n"
    ".popsection\n"
    ".pushsection .text.ppgnet_widen_rows, \"ax\", %progbits\n"
    ".p2align 2\n"
    ".global ppgnet_widen_rows\n"
    ".thumb_func\n"
    ".type ppgnet_widen_rows, %function\n"
    "ppgnet_widen_rows:\n"
    "push {r4-r11, lr}\n"
    "mov r3, r0\n"
    "mov r0, r2\n"
    "ldr r4, [r3]\n"
    "ldr r7, [r3, #4]\n"
    "ldr r6, [r3, #8]\n"
    "ldr r5, [r3, #12]\n"
    "bl ppgnet_widen\n"
    "pop {r4-r11, pc}\n"
    ".size ppgnet_widen_rows, . - ppgnet_widen_rows\n"
    ".popsection\n");

#else

uint32_t *ppgnet_widen_rows(const int8_t *const *rows, uint32_t words, uint32_t *columns)
{
    for (uint32_t word = 0; word < words; word++, columns += 8)
        for (uint32_t row = 0; row < 4; row++) {
            uint32_t value = ((const ppgnet_word *)rows[row])[word] ^ 0x80808080u;
            columns[row] = value << 1 & 0x01fe01feu;
            columns[row + 4] = value >> 7 & 0x01fe01feu;
        }
    return columns;
}

#endif

PPGNET_INLINE uint32_t doubled(const int8_t *value)
{
    return 2u * (uint32_t)(*value + 128);
}

/* A pair from two neighbours of one row. */
PPGNET_INLINE uint32_t neighbours(const int8_t *first)
{
    const uint8_t *bytes = (const uint8_t *)first;
    return (((uint32_t)bytes[1] << 16 | bytes[0]) ^ 0x00800080u) << 1;
}

/* Channels that do not come in fours: value by value, or pair by pair where a position's inputs lie in a row. */
PPGNET_SMALL void ppgnet_gather_loosely(const ppgnet_layer *layer, const int8_t *input, uint32_t position,
    uint32_t *columns, uint32_t step)
{
    uint32_t channels = layer->channels_in, taps = layer->kernel, length = layer->length_in;
    int32_t time = (int32_t)(position * layer->stride) - layer->padding_before;
    if (layer->dilation == 1 && time >= 0 && (uint32_t)time + taps <= length) {
        const int8_t *row = input + (uint32_t)time * channels;
        uint32_t left = taps * channels;
        for (; left >= 2; left -= 2, row += 2, columns += step)
            *columns = neighbours(row);
        if (left != 0)
            *columns = doubled(row);
        return;
    }
    uint32_t pending = 0, is_odd = 0;
    for (; taps != 0; taps--, time += layer->dilation) {
        int is_inside = (uint32_t)time < length;
        const int8_t *row = is_inside ? input + (uint32_t)time * channels : &layer->zero_point_in;
        for (uint32_t left = channels; left != 0; left--, row += is_inside, is_odd ^= 1) {
            if (is_odd) {
                *columns = doubled(row) << 16 | pending;
                columns += step;
            }
            pending = doubled(row);
        }
    }
    if (is_odd)
        *columns = pending;
}

void ppgnet_gather(const ppgnet_layer *layer, const int8_t *input, uint32_t position, uint32_t *columns,
    const int8_t *padding)
{
    uint32_t channels = layer->channels_in, width = channels, taps = layer->kernel, stride = layer->stride;
    if (channels % 4 != 0) {
        for (uint32_t index = 0; index < 4; index++)
            ppgnet_gather_loosely(layer, input, position + index, columns + index, 4);
        return;
    }
    int32_t time = (int32_t)(position * stride) - layer->padding_before, length = layer->length_in;
    if (layer->dilation == 1 && time >= 0 && time + (int32_t)(3 * stride + taps) <= length) {
        width *= taps; /* one row holds all taps */
        taps = 1;
    }
    for (; taps != 0; taps--, time += layer->dilation) {
        const int8_t *rows[4];
        int32_t at = time;
        for (uint32_t index = 0; index < 4; index++, at += (int32_t)stride)
            rows[index] = (uint32_t)at < (uint32_t)length ? input + (uint32_t)at * channels : padding;
        columns = ppgnet_widen_rows(rows, width / 4, columns);
    }
}

void ppgnet_gather_one(const ppgnet_layer *layer, const int8_t *input, uint32_t position, uint32_t *columns)
{
    uint32_t channels = layer->channels_in, taps = layer->kernel;
    if (channels % 4 != 0) {
        ppgnet_gather_loosely(layer, input, position, columns, 1);
        return;
    }
    int32_t time = (int32_t)(position * layer->stride) - layer->padding_before;
    uint32_t padding = 2u * (uint32_t)(layer->zero_point_in + 128) * 0x00010001u;
    for (; taps != 0; taps--, time += layer->dilation) {
        int is_inside = (uint32_t)time < layer->length_in;
        const ppgnet_word *words = (const ppgnet_word *)(is_inside ? input + (uint32_t)time * channels : input);
        for (uint32_t quad = channels / 4; quad != 0; quad--, columns += 2) {
            uint32_t value = *words++ ^ 0x80808080u;
            columns[0] = is_inside ? value << 1 & 0x01fe01feu : padding;
            columns[1] = is_inside ? value >> 7 & 0x01fe01feu : padding;
        }
    }
}
