/* Residual add, average pooling, and the exact forms that serve where a fast kernel's preconditions fail. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

/* Factors and offset were proven at export to give TFLite's ADD on all 65,536 pairs of inputs. */
void ppgnet_add(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)scratch;
    const ppgnet_add_parameters *add = parameters;
    const ppgnet_word *a = (const ppgnet_word *)input, *b = (const ppgnet_word *)second;
    ppgnet_word *out = output;
    int32_t first = add->first_factor, other = add->second_factor, offset = add->offset;
    for (uint32_t word = add->words; word != 0; word--) {
        uint32_t x = *a++, y = *b++;
        uint32_t x_odd = x & 0xff00ff00u, x_even = x << 8 & 0xff00ff00u;
        uint32_t y_odd = y & 0xff00ff00u, y_even = y << 8 & 0xff00ff00u;
        int32_t sum0 = ppgnet_smlaw_bottom(other, y_even, ppgnet_smlaw_bottom(first, x_even, offset));
        int32_t sum1 = ppgnet_smlaw_bottom(other, y_odd, ppgnet_smlaw_bottom(first, x_odd, offset));
        int32_t sum2 = ppgnet_smlaw_top(other, y_even, ppgnet_smlaw_top(first, x_even, offset));
        int32_t sum3 = ppgnet_smlaw_top(other, y_odd, ppgnet_smlaw_top(first, x_odd, offset));
        *out++ = ppgnet_pack_bytes(ppgnet_ssat8_twentieth(sum0), ppgnet_ssat8_twentieth(sum1),
            ppgnet_ssat8_twentieth(sum2), ppgnet_ssat8_twentieth(sum3));
    }
}

PPGNET_SMALL void ppgnet_add_exact(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)scratch;
    const ppgnet_add_exact_parameters *add = parameters;
    int8_t *out = output;
    for (uint32_t element = 0; element < add->elements; element++) {
        int32_t a = (input[element] - add->zero_points[0]) * (1 << 20);
        int32_t b = (second[element] - add->zero_points[1]) * (1 << 20);
        int32_t sum = ppgnet_multiply(a, add->multipliers[0], add->shifts[0])
            + ppgnet_multiply(b, add->multipliers[1], add->shifts[1]);
        sum = ppgnet_multiply(sum, add->multipliers[2], add->shifts[2]) + add->zero_points[2];
        out[element] = (int8_t)ppgnet_clamp(sum, add->lowest);
    }
}

PPGNET_SMALL void ppgnet_exact(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_layer *layer = parameters;
    const ppgnet_exact_data *data = layer->data;
    int8_t *out = output;
    uint32_t depth = data->is_depthwise ? 1 : layer->channels_in;
    uint32_t next = data->is_depthwise ? layer->channels_out : 1;
    for (uint32_t position = 0; position < layer->length_out; position++) {
        for (uint32_t channel = 0; channel < layer->channels_out; channel++) {
            const int8_t *weight = data->weight + (data->is_depthwise ? channel : channel * layer->kernel * depth);
            int32_t time = (int32_t)(position * layer->stride) - layer->padding_before;
            int32_t sum = data->bias[channel];
            for (uint32_t tap = 0; tap < layer->kernel; tap++, time += layer->dilation) {
                int is_inside = (uint32_t)time < layer->length_in;
                const int8_t *row = input + (is_inside ? (uint32_t)time * layer->channels_in : 0);
                row += data->is_depthwise ? channel : 0;
                for (uint32_t index = 0; index < depth; index++, weight += next)
                    sum += is_inside ? *weight * (row[index] - layer->zero_point_in) : 0;
            }
            sum = ppgnet_multiply(sum, data->multiplier[channel], data->shift[channel]) + layer->zero_point_out;
            *out++ = (int8_t)ppgnet_clamp(sum, data->lowest);
        }
    }
}

/* Mean of each of length_out equal segments, half away from zero. */
PPGNET_SMALL void ppgnet_average_pool(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_layer *layer = parameters;
    uint32_t channels = layer->channels_in;
    int32_t count = layer->length_in / layer->length_out;
    int8_t *out = output;
    for (uint32_t segment = 0; segment < layer->length_out; segment++) {
        for (uint32_t channel = 0; channel < channels; channel++) {
            const int8_t *sample = input + channel;
            int32_t sum = 0;
            for (int32_t left = count; left != 0; left--, sample += channels)
                sum += *sample;
            int32_t sign = sum >> 31;
            *out++ = (int8_t)((sum + ((count / 2) ^ sign) - sign) / count);
        }
        input += (uint32_t)count * channels;
    }
}
