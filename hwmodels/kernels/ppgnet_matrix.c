/* Convolution (pointwise, strided, dilated, causal or centred) and fully connected layers as one int8 matrix
   product. The inputs of an output position are gathered and widened to int16 pairs; weights of two outputs
   share a halfword (256 * second + first), so that SMLAD of the word and of its sign-extended low bytes give
   256 * sum1 + sum0 and sum0 without widening both.

   The stream holds for every pair of outputs: its packed weights, twice the two biases (the input's zero
   point folded in), two multipliers, and a word with the two shifts. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

uint32_t *ppgnet_gather(
    const ppgnet_layer *layer, const int8_t *input, uint32_t position, uint32_t *columns, uint32_t step)
{
    uint32_t channels = layer->channels_in, width = channels, taps = layer->kernel, length = layer->length_in;
    int32_t time = (int32_t)(position * layer->stride) - layer->padding_before;
    uint32_t pending = 0, is_odd = 0;
    if (layer->dilation == 1 && time >= 0 && (uint32_t)time + taps <= length) {
        width *= taps; /* one row holds all taps */
        taps = 1;
    }
    for (; taps != 0; taps--, time += layer->dilation) {
        int is_inside = (uint32_t)time < length;
        const int8_t *row = is_inside ? input + (uint32_t)time * channels : input;
        if (channels % 4 != 0) {
            uint32_t left = width;
            for (; is_inside && !is_odd && left >= 2; left -= 2, row += 2, columns += step)
                *columns = (uint32_t)row[1] << 16 | (uint16_t)row[0];
            for (; left != 0; left--, is_odd ^= 1) {
                uint32_t value = (uint16_t)(is_inside ? *row++ : layer->zero_point_in);
                if (is_odd) {
                    *columns = value << 16 | pending;
                    columns += step;
                }
                pending = value;
            }
        } else if (is_inside) {
            const ppgnet_word *words = (const ppgnet_word *)row;
            for (uint32_t quad = width / 4; quad != 0; quad--) {
                uint32_t word = *words++;
                columns[0] = ppgnet_sxtb16(word);
                columns[step] = ppgnet_sxtb16_odd(word);
                columns += 2 * step;
            }
        } else {
            uint32_t padding = (uint16_t)layer->zero_point_in * 0x00010001u;
            for (uint32_t pair = width / 2; pair != 0; pair--, columns += step)
                *columns = padding;
        }
    }
    if (is_odd) {
        *columns = pending;
        columns += step;
    }
    if (layer->kernel * channels % 4 - 1u < 2u) { /* a pair short of four elements; its weights are 0 */
        *columns = 0;
        columns += step;
    }
    return columns;
}

typedef struct {
    const uint32_t *columns_end;
    uint32_t channels_out;
    int32_t rounding; /* 2 * zero point + 1 */
} tile_shape;

/* Four positions, all outputs. */
void ppgnet_tile(const uint32_t *stream, const uint32_t *columns, int8_t *output, const tile_shape *shape);

#if PPGNET_DSP

/* r0 stream, r1 columns, r2 packed weights, r3 first weights, r12 and lr inputs, r4-r7 packed sums,
   r8-r11 first sums. The loads run ahead of the products; after the loop r2 already holds the first bias. */
__asm__(
    ".pushsection .text.ppgnet_tile, \"ax\", %progbits\n"
    ".syntax unified\n"
    ".thumb\n"
    ".p2align 2\n"
    ".global ppgnet_tile\n"
    ".thumb_func\n"
    ".type ppgnet_tile, %function\n"
    "ppgnet_tile:\n"
    "push {r4-r11, lr}\n"
    "sub sp, #28\n"
    "ldm r3, {r4, r5, r6}\n"
    "add r7, r2, r5\n"
    "str r4, [sp]\n"
    "str r1, [sp, #4]\n"
    "str r2, [sp, #8]\n"
    "str r5, [sp, #12]\n"
    "str r6, [sp, #16]\n"
    "str r7, [sp, #20]\n"
    "1:\n"
    "ldr r1, [sp, #4]\n"
    "movs r4, #0\n"
    "movs r5, #0\n"
    "ldr r2, [r0], #4\n"
    "movs r6, #0\n"
    "movs r7, #0\n"
    "ldr r12, [r1]\n"
    "mov r8, r4\n"
    "mov r9, r4\n"
    "ldr lr, [r1, #4]\n"
    "mov r10, r4\n"
    "mov r11, r4\n"
    ".p2align 2\n"
    "2:\n"
    "sxtb16 r3, r2\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r8, r3, r12, r8\n"
    "ldr r12, [r1, #8]\n"
    "smlad r5, r2, lr, r5\n"
    "smlad r9, r3, lr, r9\n"
    "ldr lr, [r1, #12]\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r2, lr, r7\n"
    "ldr r2, [r0], #4\n"
    "smlad r10, r3, r12, r10\n"
    "ldr r12, [r1, #16]\n"
    "smlad r11, r3, lr, r11\n"
    "ldr lr, [r1, #20]\n"
    "sxtb16 r3, r2\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r8, r3, r12, r8\n"
    "ldr r12, [r1, #24]\n"
    "smlad r5, r2, lr, r5\n"
    "smlad r9, r3, lr, r9\n"
    "ldr lr, [r1, #28]\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r2, lr, r7\n"
    "ldr r2, [r0], #4\n"
    "smlad r10, r3, r12, r10\n"
    "ldr r12, [r1, #32]!\n"
    "smlad r11, r3, lr, r11\n"
    "ldr r3, [sp]\n"
    "ldr lr, [r1, #4]\n"
    "cmp r1, r3\n"
    "bne 2b\n"
    /* Twice the two accumulators, biases added: 256 * sum1 is the exact difference. */
    "ldr r3, [r0]\n"
    "sub r4, r4, r8\n"
    "sub r5, r5, r9\n"
    "ldr r12, [r0, #4]\n"
    "sub r6, r6, r10\n"
    "sub r7, r7, r11\n"
    "ldrb lr, [r0, #12]\n"
    "add r8, r2, r8, lsl #1\n"
    "add r9, r2, r9, lsl #1\n"
    "ldr r1, [sp, #16]\n"
    "add r10, r2, r10, lsl #1\n"
    "add r11, r2, r11, lsl #1\n"
    "add r4, r3, r4, asr #7\n"
    "add r5, r3, r5, asr #7\n"
    "add r6, r3, r6, asr #7\n"
    "add r7, r3, r7, asr #7\n"
    /* The first output: r12 multiplier, lr shift, r3 offset. */
    "lsl r3, r1, lr\n"
    "add r2, r3, r8, asr #31\n"
    "smmlar r8, r8, r12, r2\n"
    "add r2, r3, r9, asr #31\n"
    "smmlar r9, r9, r12, r2\n"
    "add r2, r3, r10, asr #31\n"
    "smmlar r10, r10, r12, r2\n"
    "add r2, r3, r11, asr #31\n"
    "smmlar r11, r11, r12, r2\n"
    "asrs.w r8, r8, lr\n"
    "ldr r12, [r0, #8]\n"
    "asrs.w r9, r9, lr\n"
    "asrs.w r10, r10, lr\n"
    "asrs.w r11, r11, lr\n"
    "ldrb lr, [r0, #13]\n"
    "ssat r8, #8, r8, asr #1\n"
    "ssat r9, #8, r9, asr #1\n"
    "ssat r10, #8, r10, asr #1\n"
    "ssat r11, #8, r11, asr #1\n"
    /* The second output. */
    "lsl r3, r1, lr\n"
    "ldr r1, [sp, #8]\n"
    "add r2, r3, r4, asr #31\n"
    "smmlar r4, r4, r12, r2\n"
    "add r2, r3, r5, asr #31\n"
    "smmlar r5, r5, r12, r2\n"
    "add r2, r3, r6, asr #31\n"
    "smmlar r6, r6, r12, r2\n"
    "add r2, r3, r7, asr #31\n"
    "smmlar r7, r7, r12, r2\n"
    "asrs r4, lr\n"
    "ldr r2, [sp, #12]\n"
    "asrs r5, lr\n"
    "asrs r6, lr\n"
    "asrs r7, lr\n"
    "add r3, r1, #2\n"
    "ssat r4, #8, r4, asr #1\n"
    "ssat r5, #8, r5, asr #1\n"
    "ssat r6, #8, r6, asr #1\n"
    "ssat r7, #8, r7, asr #1\n"
    /* Both outputs of a position leave as one halfword. */
    "bfi r8, r4, #8, #8\n"
    "strh r8, [r1]\n"
    "bfi r9, r5, #8, #8\n"
    "strh r9, [r1, r2]\n"
    "bfi r10, r6, #8, #8\n"
    "add r1, r1, r2, lsl #1\n"
    "bfi r11, r7, #8, #8\n"
    "strh r10, [r1]\n"
    "strh r11, [r1, r2]\n"
    "ldr r12, [sp, #20]\n"
    "str r3, [sp, #8]\n"
    "adds r0, #16\n"
    "cmp r3, r12\n"
    "bne 1b\n"
    "add sp, #28\n"
    "pop {r4-r11, pc}\n"
    ".size ppgnet_tile, . - ppgnet_tile\n"
    ".popsection\n");

#else

void ppgnet_tile(const uint32_t *stream, const uint32_t *columns, int8_t *output, const tile_shape *shape)
{
    for (uint32_t channel = 0; channel < shape->channels_out; channel += 2) {
        int32_t packed[4] = {0}, first[4] = {0};
        for (const uint32_t *pair = columns; pair != shape->columns_end; pair += 4, stream++)
            for (int position = 0; position < 4; position++) {
                packed[position] = ppgnet_smlad(*stream, pair[position], packed[position]);
                first[position] = ppgnet_smlad(ppgnet_sxtb16(*stream), pair[position], first[position]);
            }
        int32_t shift0 = (int32_t)(stream[4] & 0xff), shift1 = (int32_t)(stream[4] >> 8);
        for (int position = 0; position < 4; position++) {
            int32_t second = (int32_t)((uint32_t)packed[position] - (uint32_t)first[position]) >> 7;
            int32_t sums[2] = {(int32_t)stream[0] + 2 * first[position], (int32_t)stream[1] + second};
            int8_t *at = output + (uint32_t)position * shape->channels_out + channel;
            at[0] = (int8_t)ppgnet_requantize(
                sums[0], (int32_t)stream[2], shift0, shape->rounding * (1 << shift0));
            at[1] = (int8_t)ppgnet_requantize(
                sums[1], (int32_t)stream[3], shift1, shape->rounding * (1 << shift1));
        }
        stream += 5;
    }
}

#endif

void ppgnet_matrix(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    const ppgnet_layer *layer = parameters;
    uint32_t *columns = scratch;
    tile_shape shape = {columns, layer->channels_out, 2 * layer->zero_point_out + 1};
    uint32_t last = layer->length_out - 4u;
    for (uint32_t first = 0;;) {
        for (uint32_t position = 0; position < 4; position++)
            shape.columns_end = ppgnet_gather(layer, input, first + position, columns + position, 4) - position;
        ppgnet_tile(layer->data, columns, (int8_t *)output + first * layer->channels_out, &shape);
        if (first == last)
            break;
        /* The last tile overlaps its predecessor rather than ending early. */
        first = first + 4 < last ? first + 4 : last;
    }
}

void ppgnet_dense(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    const ppgnet_layer *layer = parameters;
    const uint32_t *columns = scratch;
    int32_t rounding = 2 * layer->zero_point_out + 1;
    int8_t *out = output;
    for (uint32_t position = 0; position < layer->length_out; position++) {
        const uint32_t *stream = layer->data;
        const uint32_t *end = ppgnet_gather(layer, input, position, scratch, 1);
        for (uint32_t channel = 0; channel < layer->channels_out; channel += 2) {
            int32_t packed = 0, first = 0;
            const uint32_t *pair = columns;
            do {
                uint32_t weights = stream[0], more = stream[1];
                packed = ppgnet_smlad(weights, pair[0], packed);
                first = ppgnet_smlad(ppgnet_sxtb16(weights), pair[0], first);
                packed = ppgnet_smlad(more, pair[1], packed);
                first = ppgnet_smlad(ppgnet_sxtb16(more), pair[1], first);
                pair += 2;
                stream += 2;
            } while (pair != end);
            int32_t shift0 = (int32_t)(stream[4] & 0xff), shift1 = (int32_t)(stream[4] >> 8);
            int32_t sum = (int32_t)stream[1] + ((int32_t)((uint32_t)packed - (uint32_t)first) >> 7);
            *out++ = (int8_t)ppgnet_requantize(
                (int32_t)stream[0] + 2 * first, (int32_t)stream[2], shift0, rounding * (1 << shift0));
            if (channel + 1 < layer->channels_out)
                *out++ = (int8_t)ppgnet_requantize(sum, (int32_t)stream[3], shift1, rounding * (1 << shift1));
            stream += 5;
        }
    }
}
