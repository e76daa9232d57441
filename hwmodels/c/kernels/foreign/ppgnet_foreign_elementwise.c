/* Functions of one element, and of two. */
#include "ppgnet_foreign.h"
#include "ppgnet_shim.h"

void ppgnet_lookup(const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_lookup_parameters *lookup = parameters;
    const uint8_t *table = lookup->table;
    const ppgnet_word *in = (const ppgnet_word *)input;
    ppgnet_word *out = output;
    for (uint32_t word = lookup->words; word != 0; word--) {
        uint32_t x = *in++;
        uint32_t first = table[x & 255], other = table[x >> 8 & 255], third = table[x >> 16 & 255];
        *out++ = ppgnet_pack_bytes((int32_t)first, (int32_t)other, (int32_t)third, table[x >> 24]);
    }
}

/* TFLite's ADD; its SUB where the second multiplier is negative. */
void ppgnet_plain_sum(const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)scratch;
    const ppgnet_pair_parameters *pair = parameters;
    const int8_t *other = pair->constant ? pair->constant : second;
    int8_t *out = output;
    for (uint32_t row = 0; row < pair->rows; row++) {
        const int8_t *a = input + row * pair->first_row, *b = other + row * pair->second_row;
        for (uint32_t channel = 0; channel < pair->channels; channel++) {
            int32_t sum = ppgnet_multiply((*a - pair->zero_points[0]) * (1 << 20), pair->multipliers[0], pair->shifts[0])
                + ppgnet_multiply((*b - pair->zero_points[1]) * (1 << 20), pair->multipliers[1], pair->shifts[1]);
            sum = ppgnet_multiply(sum, pair->multipliers[2], pair->shifts[2]) + pair->zero_points[2];
            *out++ = (int8_t)ppgnet_clamp(sum, pair->lowest);
            a += pair->first_channel;
            b += pair->second_channel;
        }
    }
}

/* TFLite's MUL; only the third multiplier counts. */
void ppgnet_plain_product(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)scratch;
    const ppgnet_pair_parameters *pair = parameters;
    const int8_t *other = pair->constant ? pair->constant : second;
    int8_t *out = output;
    for (uint32_t row = 0; row < pair->rows; row++) {
        const int8_t *a = input + row * pair->first_row, *b = other + row * pair->second_row;
        for (uint32_t channel = 0; channel < pair->channels; channel++) {
            int32_t product = (*a - pair->zero_points[0]) * (*b - pair->zero_points[1]);
            product = ppgnet_multiply(product, pair->multipliers[2], pair->shifts[2]) + pair->zero_points[2];
            *out++ = (int8_t)ppgnet_clamp(product, pair->lowest);
            a += pair->first_channel;
            b += pair->second_channel;
        }
    }
}

/* Of each row; probabilities in 1/256 from -128 on. */
void ppgnet_plain_softmax(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_softmax_parameters *softmax = parameters;
    int8_t *out = output;
    for (uint32_t row = 0; row < softmax->rows; row++, input += softmax->channels) {
        int32_t top = -128;
        uint32_t total = 0;
        for (uint32_t channel = 0; channel < softmax->channels; channel++)
            top = ppgnet_larger(top, input[channel]);
        for (uint32_t channel = 0; channel < softmax->channels; channel++)
            total += softmax->exponentials[top - input[channel]];
        for (uint32_t channel = 0; channel < softmax->channels; channel++) {
            uint32_t share = softmax->exponentials[top - input[channel]] * 256u + total / 2;
            *out++ = (int8_t)ppgnet_clamp((int32_t)(share / total) - 128, -128);
        }
    }
}

/* As ppgnet_to_grid, by the same instructions for any value: the core's conversion to integers saturates. */
PPGNET_INLINE int8_t on_grid(float steps, int32_t zero_point)
{
#if PPGNET_DSP
    union {
        float real;
        uint32_t bits;
    } half = {steps};
    float whole;
    int32_t rounded;
    half.bits = (half.bits & 0x80000000u) | 0x3f000000u;
    __asm__("vcvt.s32.f32 %0, %1" : "=t"(whole) : "t"(steps + half.real));
    __asm__("vmov %0, %1\n\tssat %0, #16, %0" : "=r"(rounded) : "t"(whole));
    return (int8_t)ppgnet_clamp(rounded + zero_point, -128);
#else
    return ppgnet_to_grid(steps, zero_point);
#endif
}

void ppgnet_plain_quantize(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_grid_parameters *grid = parameters;
    const float *in = (const float *)(const void *)input;
    int8_t *out = output;
    for (uint32_t element = 0; element < grid->elements; element++)
        out[element] = on_grid(in[element] * grid->factor, grid->zero_point);
}

void ppgnet_plain_dequantize(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_grid_parameters *grid = parameters;
    float *out = output;
    for (uint32_t element = 0; element < grid->elements; element++)
        out[element] = grid->factor * (float)(input[element] - grid->zero_point);
}
