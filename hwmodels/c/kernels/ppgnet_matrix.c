/* Convolutions (pointwise, strided, dilated, causal or centred) and fully connected layers as one int8 matrix
   product: the inputs of four positions are gathered, then ppgnet_tile makes all their outputs. */
#include "ppgnet_tile.h"

/* Tiles whose inputs lie inside the signal are widened where they are computed, the others before. */
PPGNET_UNIT void ppgnet_run_matrix(const ppgnet_layer *layer, const int8_t *input, int8_t *output,
    uint32_t *columns, uint32_t pairs, ppgnet_tile *compute)
{
    uint32_t channels = layer->channels_in, taps = layer->kernel, dilation = layer->dilation;
    uint32_t stride = layer->stride, reach = (taps - 1) * dilation + 3 * stride;
    uint32_t words = channels / 4, last = layer->length_out - 4u;
    ppgnet_word *padding = columns + 4 * pairs;
    ppgnet_tile_job job = {output, layer->channels_out, 2 * layer->zero_point_out + 1, columns,
        columns + 4 * pairs, layer->data, input, stride * channels, 0, dilation * channels, words, 1,
        4 * stride * channels};
    if (taps > 1)
        for (uint32_t word = 0; word < words; word++)
            padding[word] = (uint8_t)layer->zero_point_in * 0x01010101u;
    if (dilation == 1) { /* one row holds all taps */
        job.words *= taps;
        taps = 1;
    }
    for (uint32_t first = 0;;) {
        int32_t time = (int32_t)(first * stride) - layer->padding_before;
        int32_t left = layer->length_in - time - (int32_t)reach;
        job.output = output + first * job.channels_out;
        if (time >= 0 && left > 0 && channels % 4 == 0) {
            job.input = input + (uint32_t)time * channels;
            job.taps = taps;
            job.tiles = ((uint32_t)left + 4 * stride - 1) / (4 * stride);
            job.tiles = job.tiles <= (last - first) / 4 ? job.tiles : (last - first) / 4 + 1;
        } else {
            ppgnet_gather(layer, input, first, columns, (const int8_t *)padding);
            job.taps = 0;
            job.tiles = 1;
        }
        compute(&job);
        first += 4 * job.tiles;
        if (first - 4 == last)
            break;
        first = first < last ? first : last; /* the last tile overlaps its predecessor rather than ending early */
    }
}

#define MATRIX(name, tile, pairs) \
    void name(const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch) \
    { \
        (void)second; \
        const ppgnet_layer *layer = parameters; \
        ppgnet_run_matrix(layer, input, output, scratch, pairs, tile); \
    }
/* The tile for any depth begins with four pairs. */
PPGNET_INLINE uint32_t pairs_of_any(const ppgnet_layer *layer)
{
    uint32_t depth = layer->kernel * layer->channels_in;
    return depth > 8 ? (depth + 3) / 4 * 2 : 4;
}

MATRIX(ppgnet_matrix_relu_3, ppgnet_tile_relu_3, 3)
MATRIX(ppgnet_matrix_relu_4, ppgnet_tile_relu_4, 4)
MATRIX(ppgnet_matrix_relu_5, ppgnet_tile_relu_5, 5)
MATRIX(ppgnet_matrix_relu_6, ppgnet_tile_relu_6, 6)
MATRIX(ppgnet_matrix_relu_8, ppgnet_tile_relu_8, 8)
MATRIX(ppgnet_matrix_relu_10, ppgnet_tile_relu_10, 10)
MATRIX(ppgnet_matrix_relu_12, ppgnet_tile_relu_12, 12)
MATRIX(ppgnet_matrix_relu_16, ppgnet_tile_relu_16, 16)
MATRIX(ppgnet_matrix_relu_any, ppgnet_tile_relu_any, pairs_of_any(layer))
MATRIX(ppgnet_matrix_linear_4, ppgnet_tile_linear_4, 4)
MATRIX(ppgnet_matrix_linear_8, ppgnet_tile_linear_8, 8)
MATRIX(ppgnet_matrix_linear_12, ppgnet_tile_linear_12, 12)
MATRIX(ppgnet_matrix_linear_16, ppgnet_tile_linear_16, 16)
MATRIX(ppgnet_matrix_linear_any, ppgnet_tile_linear_any, pairs_of_any(layer))

/* All outputs of one position, two at a time; with a ReLU or without, from a stream for none. */
typedef struct {
    uint32_t channels_out;
    int32_t rounding; /* 2 * zero point of the output + 1 */
    const uint32_t *columns_end;
} dense_shape;
void ppgnet_dense_row(
    const ppgnet_word *stream, const uint32_t *columns, int8_t *output, const dense_shape *shape);

#if PPGNET_DSP

/* r0 stream, r1 columns, r2 output, r4 packed sum, r5 first sum, r7 rounding, r8 columns' end, r9 columns, r10
   output's end; weights and inputs in r12 and r3, r11 and r6. */
#define DENSE_PRODUCTS(input0, input1) \
    "sxtb16 lr, r12\n" \
    "smlad r4, r12, r3, r4\n" \
    "smlad r5, lr, r3, r5\n" \
    "ldr r12, [r0], #4\n" \
    "sxtb16 lr, r11\n" \
    "smlad r4, r11, r6, r4\n" \
    "smlad r5, lr, r6, r5\n" \
    "ldr r11, [r0], #4\n" \
    "ldr r3, " input0 "\n" \
    "ldr r6, " input1 "\n"
__asm__(
    ".pushsection .text.ppgnet_dense_row, \"ax\", %progbits\n"
    ".syntax unified\n"
    ".thumb\n"
    ".p2align 2\n"
    ".global ppgnet_dense_row\n"
    ".thumb_func\n"
    ".type ppgnet_dense_row, %function\n"
    "ppgnet_dense_row:\n"
    "push {r4-r11, lr}\n"
    "ldm r3, {r6, r7, r8}\n"
    "mov r9, r1\n"
    "add r10, r2, r6\n"
    "1:\n"
    "ldr r4, [r0]\n"
    "ldr r5, [r0, #4]\n"
    "mov r1, r9\n"
    "ldr r12, [r0, #8]\n"
    "ldr r11, [r0, #12]\n"
    "ldr r3, [r1]\n"
    "ldr r6, [r1, #4]\n"
    "adds r0, #16\n"
    ".p2align 2\n"
    "2:\n" DENSE_PRODUCTS("[r1, #8]", "[r1, #12]") DENSE_PRODUCTS("[r1, #16]!", "[r1, #4]") "cmp r1, r8\n"
    "bne 2b\n"
    "ldr r3, [r0], #4\n"
    "sub r4, r4, r5\n"
    "asr r4, r4, #8\n"
    "lsl r6, r7, r3\n"
    "add lr, r6, r5, asr #31\n"
    "smmlar r5, r5, r12, lr\n"
    "lsr r12, r3, #8\n"
    "lsl r6, r7, r12\n"
    "add lr, r6, r4, asr #31\n"
    "asr r5, r5, r3\n"
    "smmlar r4, r4, r11, lr\n"
    "ssat r5, #8, r5, asr #1\n"
    "strb r5, [r2], #1\n"
    "cmp r2, r10\n"
    "asr r4, r4, r12\n"
    "ssat r4, #8, r4, asr #1\n"
    "beq 3f\n"
    "strb r4, [r2], #1\n"
    "cmp r2, r10\n"
    "bne 1b\n"
    "3:\n"
    "pop {r4-r11, pc}\n"
    ".size ppgnet_dense_row, . - ppgnet_dense_row\n"
    ".popsection\n");

#else

void ppgnet_dense_row(
    const ppgnet_word *stream, const uint32_t *columns, int8_t *output, const dense_shape *shape)
{
    for (uint32_t channel = 0; channel < shape->channels_out; channel += 2, stream += 3) {
        int32_t packed = (int32_t)stream[0], first = (int32_t)stream[1];
        stream += 2;
        for (const uint32_t *pair = columns; pair != shape->columns_end; pair++, stream++) {
            packed = ppgnet_smlad(*stream, *pair, packed);
            first = ppgnet_smlad(ppgnet_sxtb16(*stream), *pair, first);
        }
        int32_t shift0 = (int32_t)(stream[2] & 0xff), shift1 = (int32_t)(stream[2] >> 8);
        int32_t second = (int32_t)((uint32_t)packed - (uint32_t)first) >> 8;
        output[channel] = (int8_t)ppgnet_requantize(
            first, (int32_t)stream[0], shift0, shape->rounding * (1 << shift0));
        if (channel + 1 < shape->channels_out)
            output[channel + 1] = (int8_t)ppgnet_requantize(
                second, (int32_t)stream[1], shift1, shape->rounding * (1 << shift1));
    }
}

#endif

void ppgnet_dense(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    const ppgnet_layer *layer = parameters;
    uint32_t *columns = scratch, pairs = (layer->kernel * layer->channels_in + 7u) / 8 * 4;
    dense_shape shape = {layer->channels_out, 2 * layer->zero_point_out + 1, columns + pairs};
    int8_t *out = output;
    for (uint32_t position = 0; position < layer->length_out; position++, out += layer->channels_out) {
        ppgnet_gather_one(layer, input, position, columns);
        ppgnet_dense_row(layer->data, columns, out, &shape);
    }
}
