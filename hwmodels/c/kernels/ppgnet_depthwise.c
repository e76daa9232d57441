/* Depthwise convolution of channels in fours, any kernel size and dilation, causal or centred. The outputs of a
   channel fall into classes that read samples one dilation apart. Four channels at a time, the samples of all
   classes are laid out as int16 pairs, padding included; then ppgnet_series makes all outputs. All samples of the
   four channels are read before their outputs are written, so that these may lie in the input's place.

   The data begins with a word: number of classes, and samples between neighbouring outputs of a class in its
   upper half. Then for every channel: twice the bias (the input's zero point folded in), the multiplier, and
   bytes: weights in fours as (w0 w2 w1 w3), the shift less one in the last byte. */
#include "ppgnet_series.h"

/* A pair of which one sample lies outside: it is made anew for every four channels. */
PPGNET_UNIT void ppgnet_mend_pair(
    const ppgnet_layer *layer, const int8_t *input, int32_t time, ppgnet_word *to)
{
    uint32_t padding = (uint8_t)layer->zero_point_in * 0x01010101u, pair[2];
    for (uint32_t place = 0; place < 2; place++, time += layer->dilation)
        pair[place] = (uint32_t)time < layer->length_in
            ? *(const ppgnet_word *)(input + (uint32_t)time * layer->channels_in)
            : padding;
    ppgnet_pair_up(pair[0], pair[1], to);
}

/* `second` carries the function for the layer's taps. Scratch: samples, groups, groups that end early, runs, and
   outputs of the groups that end early. */
PPGNET_UNIT void ppgnet_depthwise(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    const ppgnet_layer *layer = parameters;
    ppgnet_series *compute = (ppgnet_series *)(uintptr_t)second;
    const ppgnet_word *record = layer->data;
    uint32_t classes = *record & 0xffffu, spacing = *record >> 16, length = layer->length_out;
    uint32_t kernel = layer->kernel, channels = layer->channels_out, words = kernel / 2 + 1;
    uint32_t most = (length + 4 * classes - 1) / (4 * classes); /* groups of a class */
    uint32_t room = 4 * (2 * spacing * most + words - 1);
    int32_t dilation = layer->dilation, last = layer->length_in;
    if (classes > length)
        classes = length;
    ppgnet_word *const scratch_words = scratch, *samples = scratch;
    ppgnet_series_group *groups = (ppgnet_series_group *)(samples + classes * room), *group = groups;
    ppgnet_series_group *rests = groups + most * classes + 1, *rest = rests;
    ppgnet_series_run *runs = (ppgnet_series_run *)(rests + classes + 1), *run = runs;
    ppgnet_word *spill = (ppgnet_word *)(runs + classes);
    int32_t mended = 0;
    for (uint32_t class = 0; class < classes; class++, samples += room) {
        uint32_t outputs = (length - class + classes - 1) / classes, number = 0;
        for (; number + 4 <= outputs; number += 4, group++) {
            group->samples = PPGNET_PLACE(scratch_words, samples + 2 * spacing * number);
            group->output = (class + number * classes) * channels;
        }
        if (number != outputs) {
            rest->samples = PPGNET_PLACE(scratch_words, samples + 2 * spacing * number);
            rest->output = 16u * (uint32_t)(rest - rests);
            rest++;
        }
        int32_t time = (int32_t)(class * layer->stride) - layer->padding_before;
        int32_t pairs = (int32_t)((outputs - 1) * spacing + kernel + 1) / 2, pair = 0, inside = 0;
        run->to = PPGNET_PLACE(scratch_words, samples);
        for (; pair < pairs; pair++, time += 2 * dilation) {
            int32_t left = last - dilation - time;
            if (time >= 0 && left > 0 && inside == 0) { /* all pairs that lie inside are left to the run */
                run->to = PPGNET_PLACE(scratch_words, samples + 4 * pair);
                run->input = (uint32_t)time * channels;
                inside = (left + 2 * dilation - 1) / (2 * dilation);
                inside = inside < pairs - pair ? inside : pairs - pair;
                pair += inside - 1;
                time += 2 * dilation * (inside - 1);
            } else {
                ppgnet_mend_pair(layer, input, time, samples + 4 * pair);
                mended |= (uint32_t)time < (uint32_t)last || (uint32_t)(time + dilation) < (uint32_t)last;
            }
        }
        run->pairs = (uint32_t)inside;
        run++;
    }
    ppgnet_series_job job = {groups, group, output, classes * channels, 2 * layer->zero_point_out + 1, kernel,
        spacing, scratch};
    uint32_t record_words = 4 * (kernel / 4 + 3);
    record++;
    for (uint32_t channel = 0; channel < channels; channel += 4, record += record_words) {
        const int8_t *from = input + channel;
        ppgnet_gather_series(runs, run, from, (uint32_t)dilation * channels, scratch);
        if (mended && channel != 0) {
            samples = scratch;
            for (uint32_t class = 0; class < classes; class++, samples += room) {
                const ppgnet_series_run *inner = runs + class;
                uint32_t outputs = (length - class + classes - 1) / classes;
                int32_t time = (int32_t)(class * layer->stride) - layer->padding_before;
                ppgnet_word *end = samples + 4 * (((outputs - 1) * spacing + kernel + 1) / 2);
                ppgnet_word *start = PPGNET_AT(scratch_words, inner->to), *stop = start + 4 * inner->pairs;
                for (ppgnet_word *to = samples; to != end; to += 4, time += 2 * dilation)
                    if (to < start || to >= stop)
                        ppgnet_mend_pair(layer, from, time, to);
            }
        }
        job.output = (int8_t *)output + channel;
        if (group != groups)
            compute(&job, record);
        if (rest != rests) {
            ppgnet_series_job early = job;
            early.groups = rests;
            early.groups_end = rest;
            early.output = (int8_t *)spill;
            early.step = 4;
            compute(&early, record);
            const ppgnet_word *word = spill;
            for (uint32_t class = 0; class < classes; class++) {
                uint32_t outputs = (length - class + classes - 1) / classes, number = outputs & ~3u;
                for (uint32_t index = 0; number + index < outputs; index++)
                    *(ppgnet_word *)(job.output + (class + (number + index) * classes) * channels) = word[index];
                word += number != outputs ? 4 : 0;
            }
        }
    }
}

#define DEPTHWISE(name, unrolled) \
    void name(const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch) \
    { \
        (void)second; \
        ppgnet_depthwise(parameters, input, (const int8_t *)(uintptr_t)&unrolled, output, scratch); \
    }

DEPTHWISE(ppgnet_depthwise_relu_3, ppgnet_series_relu_3)
DEPTHWISE(ppgnet_depthwise_relu_5, ppgnet_series_relu_5)
DEPTHWISE(ppgnet_depthwise_relu_7, ppgnet_series_relu_7)
DEPTHWISE(ppgnet_depthwise_relu_9, ppgnet_series_relu_9)
DEPTHWISE(ppgnet_depthwise_relu_11, ppgnet_series_relu_11)
DEPTHWISE(ppgnet_depthwise_relu_13, ppgnet_series_relu_13)
DEPTHWISE(ppgnet_depthwise_relu_15, ppgnet_series_relu_15)
DEPTHWISE(ppgnet_depthwise_relu_17, ppgnet_series_relu_17)
DEPTHWISE(ppgnet_depthwise_relu_19, ppgnet_series_relu_19)
DEPTHWISE(ppgnet_depthwise_relu_21, ppgnet_series_relu_21)
DEPTHWISE(ppgnet_depthwise_relu_23, ppgnet_series_relu_23)
DEPTHWISE(ppgnet_depthwise_relu_25, ppgnet_series_relu_25)
DEPTHWISE(ppgnet_depthwise_relu_27, ppgnet_series_relu_27)
DEPTHWISE(ppgnet_depthwise_relu_29, ppgnet_series_relu_29)
DEPTHWISE(ppgnet_depthwise_relu_31, ppgnet_series_relu_31)
DEPTHWISE(ppgnet_depthwise_relu_33, ppgnet_series_relu_33)
DEPTHWISE(ppgnet_depthwise_linear_3, ppgnet_series_linear_3)
DEPTHWISE(ppgnet_depthwise_linear_5, ppgnet_series_linear_5)
DEPTHWISE(ppgnet_depthwise_linear_7, ppgnet_series_linear_7)
DEPTHWISE(ppgnet_depthwise_linear_9, ppgnet_series_linear_9)
DEPTHWISE(ppgnet_depthwise_linear_11, ppgnet_series_linear_11)
DEPTHWISE(ppgnet_depthwise_linear_13, ppgnet_series_linear_13)
DEPTHWISE(ppgnet_depthwise_linear_15, ppgnet_series_linear_15)
DEPTHWISE(ppgnet_depthwise_linear_17, ppgnet_series_linear_17)
DEPTHWISE(ppgnet_depthwise_linear_19, ppgnet_series_linear_19)
DEPTHWISE(ppgnet_depthwise_linear_21, ppgnet_series_linear_21)
DEPTHWISE(ppgnet_depthwise_linear_23, ppgnet_series_linear_23)
DEPTHWISE(ppgnet_depthwise_linear_25, ppgnet_series_linear_25)
DEPTHWISE(ppgnet_depthwise_linear_27, ppgnet_series_linear_27)
DEPTHWISE(ppgnet_depthwise_linear_29, ppgnet_series_linear_29)
DEPTHWISE(ppgnet_depthwise_linear_31, ppgnet_series_linear_31)
DEPTHWISE(ppgnet_depthwise_linear_33, ppgnet_series_linear_33)
DEPTHWISE(ppgnet_depthwise_spaced_3, ppgnet_series_spaced_3)
DEPTHWISE(ppgnet_depthwise_spaced_5, ppgnet_series_spaced_5)
DEPTHWISE(ppgnet_depthwise_spaced_7, ppgnet_series_spaced_7)
DEPTHWISE(ppgnet_depthwise_spaced_9, ppgnet_series_spaced_9)
DEPTHWISE(ppgnet_depthwise_any, ppgnet_series_any)
