/* Depthwise convolution, any kernel size and dilation, causal or centred. The outputs of one channel fall into
   classes that read samples one dilation apart; the samples of a class are laid out as int16 pairs, padding
   included, so that one SMLAD serves two taps.

   The data holds for every channel: twice the bias (the input's zero point folded in), the multiplier, and
   bytes: the shift, then the weights, filled up to a word. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

#define INLINE static inline __attribute__((always_inline))

/* Pairs of doubled weights: for outputs at an even sample (w0 w1)(w2 w3).., at an odd one (0 w0)(w1 w2).. */
INLINE void widen_weights(const int8_t *weights, uint32_t kernel, ppgnet_word *pairs)
{
    int32_t before = 0;
    for (uint32_t tap = 0; tap <= kernel; tap += 2, pairs += 2) {
        int32_t even = tap < kernel ? 2 * weights[tap] : 0;
        int32_t odd = tap + 1 < kernel ? 2 * weights[tap + 1] : 0;
        pairs[0] = (uint32_t)odd << 16 | (uint16_t)even;
        pairs[1] = (uint32_t)even << 16 | (uint16_t)before;
        before = odd;
    }
}

/* `count` samples of one channel, `dilation` apart, from `time` on; zero points outside of the signal. */
INLINE void gather_series(
    const ppgnet_layer *layer, const int8_t *input, int32_t time, uint32_t count, int16_t *series)
{
    uint32_t dilation = layer->dilation, stride = dilation * layer->channels_in;
    uint32_t before = time < 0 ? ((uint32_t)-time + dilation - 1) / dilation : 0;
    before = before < count ? before : count;
    for (uint32_t index = before; index != 0; index--)
        *series++ = layer->zero_point_in;
    int32_t start = time + (int32_t)(before * dilation);
    uint32_t inside = start < layer->length_in ? (layer->length_in - (uint32_t)start + dilation - 1) / dilation : 0;
    inside = inside < count - before ? inside : count - before;
    const int8_t *sample = input + (uint32_t)start * layer->channels_in;
    for (uint32_t quad = inside / 4; quad != 0; quad--, series += 4) {
        int16_t first = sample[0], second = sample[stride];
        sample += 2 * stride;
        int16_t third = sample[0], fourth = sample[stride];
        sample += 2 * stride;
        series[0] = first;
        series[1] = second;
        series[2] = third;
        series[3] = fourth;
    }
    for (uint32_t rest = inside % 4; rest != 0; rest--, sample += stride)
        *series++ = *sample;
    for (uint32_t index = count - before - inside; index != 0; index--)
        *series++ = layer->zero_point_in;
}

INLINE void depthwise(
    const ppgnet_layer *layer, const int8_t *input, int8_t *output, ppgnet_word *scratch, uint32_t spacing)
{
    uint32_t kernel = layer->kernel, channels = layer->channels_out;
    uint32_t words = kernel / 2 + 1;
    uint32_t classes = layer->dilation * spacing / layer->stride;
    uint32_t record_bytes = 8 + (kernel + 4) / 4 * 4;
    ppgnet_word *series = scratch + 2 * words;
    const int8_t *record = layer->data;
    int32_t rounding = 2 * layer->zero_point_out + 1;
    for (uint32_t channel = 0; channel < channels; channel++, record += record_bytes) {
        int32_t bias = (int32_t)((const ppgnet_word *)record)[0];
        int32_t multiplier = (int32_t)((const ppgnet_word *)record)[1];
        int32_t shift = record[8], offset = rounding * (1 << shift);
        widen_weights(record + 9, kernel, scratch);
        for (uint32_t class = 0; class < classes && class < layer->length_out; class++) {
            uint32_t outputs = (layer->length_out - class + classes - 1) / classes;
            int32_t time = (int32_t)(class * layer->stride) - layer->padding_before;
            gather_series(layer, input + channel, time, (outputs - 1) * spacing + kernel, (int16_t *)series);
            int8_t *out = output + class * channels + channel;
            const ppgnet_word *from = series;
            uint32_t step = classes * channels;
            for (;;) {
                int32_t sum0 = bias, sum1 = bias, sum2 = bias, sum3 = bias;
                const ppgnet_word *weights = scratch, *samples = from;
                uint32_t sample0 = samples[0], sample1 = samples[1], sample2 = samples[2];
                do {
                    uint32_t even = weights[0];
                    if (spacing == 1) {
                        uint32_t odd = weights[1];
                        sum0 = ppgnet_smlad(even, sample0, sum0);
                        sum1 = ppgnet_smlad(odd, sample0, sum1);
                        sum2 = ppgnet_smlad(even, sample1, sum2);
                        sum3 = ppgnet_smlad(odd, sample1, sum3);
                        sample0 = sample1;
                        sample1 = samples[2];
                    } else {
                        uint32_t sample3 = samples[3];
                        sum0 = ppgnet_smlad(even, sample0, sum0);
                        sum1 = ppgnet_smlad(even, sample1, sum1);
                        sum2 = ppgnet_smlad(even, sample2, sum2);
                        sum3 = ppgnet_smlad(even, sample3, sum3);
                        sample0 = sample1;
                        sample1 = sample2;
                        sample2 = sample3;
                    }
                    weights += 2;
                    samples++;
                } while (weights != series);
                out[0] = (int8_t)ppgnet_requantize(sum0, multiplier, shift, offset);
                sum1 = ppgnet_requantize(sum1, multiplier, shift, offset);
                sum2 = ppgnet_requantize(sum2, multiplier, shift, offset);
                sum3 = ppgnet_requantize(sum3, multiplier, shift, offset);
                if (outputs < 4) {
                    if (outputs > 1)
                        out[step] = (int8_t)sum1;
                    if (outputs > 2)
                        out[2 * step] = (int8_t)sum2;
                    break;
                }
                out[step] = (int8_t)sum1;
                out += 2 * step;
                out[0] = (int8_t)sum2;
                out[step] = (int8_t)sum3;
                out += 2 * step;
                from += 2 * spacing;
                outputs -= 4;
                if (outputs == 0)
                    break;
            }
        }
    }
}

void ppgnet_depthwise(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    depthwise(parameters, input, output, scratch, 1);
}

void ppgnet_depthwise_strided(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    depthwise(parameters, input, output, scratch, 2);
}
