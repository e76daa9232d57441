/* Depthwise convolution of channels in fours, any kernel size and dilation, causal or centred. The outputs of a
   channel fall into classes that read samples one dilation apart; the samples of a class are laid out as int16
   pairs, padding included, so that one SMLAD serves two taps.

   The data begins with a word: number of classes, and samples between neighbouring outputs of a class in its
   upper half. Then for every channel: twice the bias (the input's zero point folded in), the multiplier, and
   bytes: the shift, then the weights, filled up to a word. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

/* What a series of outputs of one channel needs; the assembly below knows the order. Weights are pairs
   (w0 w1)(w2 w3).. for outputs at an even sample and (0 w0)(w1 w2).. for those at an odd one, interleaved. */
typedef struct {
    const ppgnet_word *weights;
    int32_t bias, multiplier, shift, offset;
    uint32_t step; /* bytes between outputs */
    const ppgnet_word *weights_end;
    uint32_t spacing;
} series_job;

/* Outputs in fours until the samples reach `end`. */
typedef void series(const ppgnet_word *samples, int8_t *output, const ppgnet_word *end, const series_job *job);

ppgnet_kernel ppgnet_depthwise;
series ppgnet_series_any, ppgnet_series_3, ppgnet_series_5, ppgnet_series_7, ppgnet_series_9;

/* Pairs of doubled weights. */
PPGNET_INLINE ppgnet_word *widen_weights(const int8_t *weights, uint32_t kernel, ppgnet_word *pairs)
{
    int32_t before = 0;
    for (uint32_t tap = 0; tap <= kernel; tap += 2, pairs += 2) {
        int32_t even = tap < kernel ? 2 * weights[tap] : 0;
        int32_t odd = tap + 1 < kernel ? 2 * weights[tap + 1] : 0;
        pairs[0] = (uint32_t)odd << 16 | (uint16_t)even;
        pairs[1] = (uint32_t)even << 16 | (uint16_t)before;
        before = odd;
    }
    return pairs;
}

/* Samples of four channels, `dilation` apart from `time` on, as pairs; series of channels lie `room` words apart.
   Outside of the signal stand zero points. */
PPGNET_INLINE void gather_series(
    const ppgnet_layer *layer, const int8_t *input, int32_t time, uint32_t pairs, ppgnet_word *series, uint32_t room)
{
    int32_t dilation = layer->dilation, length = layer->length_in;
    uint32_t padding = (uint8_t)layer->zero_point_in * 0x01010101u;
    int32_t offset = time * layer->channels_in, stride = dilation * layer->channels_in;
    int32_t last = length - dilation;
    for (; pairs != 0; pairs--, series++) {
        uint32_t first = padding, second = padding;
        if (time >= 0 && time < last) {
            first = *(const ppgnet_word *)(input + offset);
            second = *(const ppgnet_word *)(input + offset + stride);
        } else {
            if ((uint32_t)time < (uint32_t)length)
                first = *(const ppgnet_word *)(input + offset);
            if ((uint32_t)(time + dilation) < (uint32_t)length)
                second = *(const ppgnet_word *)(input + offset + stride);
        }
        uint32_t first_even = ppgnet_sxtb16(first), first_odd = ppgnet_sxtb16_odd(first);
        uint32_t second_even = ppgnet_sxtb16(second), second_odd = ppgnet_sxtb16_odd(second);
        series[0] = ppgnet_pack_bottoms(first_even, second_even);
        series[room] = ppgnet_pack_bottoms(first_odd, second_odd);
        series[2 * room] = ppgnet_pack_tops(first_even, second_even);
        series[3 * room] = ppgnet_pack_tops(first_odd, second_odd);
        time += 2 * dilation;
        offset += 2 * stride;
    }
}

/* `second` carries the series function that suits the kernel size. */
void ppgnet_depthwise(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    const ppgnet_layer *layer = parameters;
    series *compute = (series *)(uintptr_t)second;
    const ppgnet_word *data = layer->data;
    uint32_t classes = *data & 0xffffu, spacing = *data >> 16;
    const int8_t *record = (const int8_t *)(data + 1);
    uint32_t kernel = layer->kernel, channels = layer->channels_out, length = layer->length_out;
    uint32_t words = kernel / 2 + 1, record_bytes = 8 + (kernel + 4) / 4 * 4;
    uint32_t room = (length + 4 * classes - 1) / (4 * classes) * 2 * spacing + words + 2;
    ppgnet_word *samples = (ppgnet_word *)scratch + 8 * words;
    series_job job;
    job.spacing = spacing;
    for (uint32_t channel = 0; channel < channels; channel += 4, record += 4 * record_bytes) {
        ppgnet_word *pairs = scratch;
        for (uint32_t lane = 0; lane < 4; lane++)
            pairs = widen_weights(record + lane * record_bytes + 9, kernel, pairs);
        for (uint32_t class = 0; class < classes && class < length; class++) {
            uint32_t outputs = (length - class + classes - 1) / classes;
            int32_t time = (int32_t)(class * layer->stride) - layer->padding_before;
            gather_series(
                layer, input + channel, time, ((outputs - 1) * spacing + kernel + 1) / 2, samples, room);
            int8_t *out = (int8_t *)output + class * channels + channel;
            const ppgnet_word *from = samples;
            const int8_t *constants = record;
            job.weights = scratch;
            for (uint32_t lane = 0; lane < 4; lane++, out++, from += room, constants += record_bytes) {
                job.bias = (int32_t)((const ppgnet_word *)constants)[0];
                job.multiplier = (int32_t)((const ppgnet_word *)constants)[1];
                job.shift = constants[8];
                job.offset = (2 * layer->zero_point_out + 1) * (1 << job.shift);
                job.step = classes * channels;
                job.weights_end = job.weights + 2 * words;
                const ppgnet_word *end = from + outputs / 4 * 2 * spacing;
                if (end != from)
                    compute(from, out, end, &job);
                if (outputs % 4 != 0) {
                    int8_t rest[4], *to = out + (outputs & ~3u) * job.step;
                    uint32_t step = job.step;
                    job.step = 1;
                    compute(end, rest, end + 2 * spacing, &job);
                    for (uint32_t index = 0; index < outputs % 4; index++, to += step)
                        *to = rest[index];
                }
                job.weights = job.weights_end;
            }
        }
    }
}

void ppgnet_series_any(const ppgnet_word *samples, int8_t *output, const ppgnet_word *end, const series_job *job)
{
    uint32_t step = job->step;
    do {
        int32_t sum0 = job->bias, sum1 = sum0, sum2 = sum0, sum3 = sum0;
        const ppgnet_word *weights = job->weights, *from = samples;
        if (job->spacing == 1) {
            uint32_t first = *from++;
            do {
                uint32_t second = *from++;
                sum0 = ppgnet_smlad(weights[0], first, sum0);
                sum1 = ppgnet_smlad(weights[1], first, sum1);
                sum2 = ppgnet_smlad(weights[0], second, sum2);
                sum3 = ppgnet_smlad(weights[1], second, sum3);
                first = second;
                weights += 2;
            } while (weights != job->weights_end);
            samples += 2;
        } else {
            uint32_t first = from[0], second = from[1], third = from[2];
            from += 3;
            do {
                uint32_t weight = *weights, fourth = *from++;
                sum0 = ppgnet_smlad(weight, first, sum0);
                sum1 = ppgnet_smlad(weight, second, sum1);
                sum2 = ppgnet_smlad(weight, third, sum2);
                sum3 = ppgnet_smlad(weight, fourth, sum3);
                first = second;
                second = third;
                third = fourth;
                weights += 2;
            } while (weights != job->weights_end);
            samples += 4;
        }
        output[0] = (int8_t)ppgnet_requantize(sum0, job->multiplier, job->shift, job->offset);
        output[step] = (int8_t)ppgnet_requantize(sum1, job->multiplier, job->shift, job->offset);
        output += 2 * step;
        output[0] = (int8_t)ppgnet_requantize(sum2, job->multiplier, job->shift, job->offset);
        output[step] = (int8_t)ppgnet_requantize(sum3, job->multiplier, job->shift, job->offset);
        output += 2 * step;
    } while (samples != end);
}

#if PPGNET_DSP

/* Unrolled for a kernel of at most 2 * words - 1 taps, one sample between outputs. r0 samples, r1 output, r2 end,
   r3 job, r4-r7 sums, r8 and r9 weights, r10 and r11 samples, r12 weights' address, lr bias. */
#define FIRST(even, odd) \
    "smlad r4, r8, " even ", lr\n" \
    "smlad r6, r8, " odd ", lr\n"
#define NEXT(even, odd) \
    "smlad r4, r8, " even ", r4\n" \
    "smlad r6, r8, " odd ", r6\n"
#define BETWEEN(even, odd, products, weights, sample) \
    products(even, odd) \
    "ldr r8, [r12, #" weights "]\n" \
    "smlad r5, r9, " even ", " products##_SUM5 "\n" \
    "ldr " even ", [r0, #" sample "]\n" \
    "smlad r7, r9, " odd ", " products##_SUM7 "\n" \
    "ldr r9, [r12, #" weights " + 4]\n"
#define FIRST_SUM5 "lr"
#define FIRST_SUM7 "lr"
#define NEXT_SUM5 "r5"
#define NEXT_SUM7 "r7"
#define LAST(even, odd) \
    NEXT(even, odd) \
    "ldr r8, [r3, #8]\n" \
    "smlad r5, r9, " even ", r5\n" \
    "smlad r7, r9, " odd ", r7\n" \
    "ldr r10, [r3, #16]\n"
#define SERIES(name, phases) \
    __asm__(".pushsection .text." name ", \"ax\", %progbits\n" \
            ".syntax unified\n" \
            ".thumb\n" \
            ".p2align 2\n" \
            ".global " name "\n" \
            ".thumb_func\n" \
            ".type " name ", %function\n" name ":\n" \
            "push {r4-r11, lr}\n" \
            "ldr r12, [r3]\n" \
            "ldr lr, [r3, #4]\n" \
            "1:\n" \
            "ldr r8, [r12]\n" \
            "ldr r10, [r0]\n" \
            "ldr r9, [r12, #4]\n" \
            "ldr r11, [r0, #4]\n" phases \
            "add r11, r10, r4, asr #31\n" \
            "add r9, r10, r5, asr #31\n" \
            "smmlar r4, r4, r8, r11\n" \
            "add r11, r10, r6, asr #31\n" \
            "smmlar r5, r5, r8, r9\n" \
            "add r10, r10, r7, asr #31\n" \
            "ldr r9, [r3, #12]\n" \
            "smmlar r6, r6, r8, r11\n" \
            "smmlar r7, r7, r8, r10\n" \
            "asr r4, r4, r9\n" \
            "asr r5, r5, r9\n" \
            "ldr r8, [r3, #20]\n" \
            "asr r6, r6, r9\n" \
            "asr r7, r7, r9\n" \
            "ssat r4, #8, r4, asr #1\n" \
            "adds r0, #8\n" \
            "ssat r5, #8, r5, asr #1\n" \
            "strb r4, [r1]\n" \
            "ssat r6, #8, r6, asr #1\n" \
            "strb r5, [r1, r8]\n" \
            "ssat r7, #8, r7, asr #1\n" \
            "add r1, r1, r8, lsl #1\n" \
            "strb r6, [r1]\n" \
            "strb r7, [r1, r8]\n" \
            "add r1, r1, r8, lsl #1\n" \
            "cmp r0, r2\n" \
            "bne 1b\n" \
            "pop {r4-r11, pc}\n" \
            ".size " name ", . - " name "\n" \
            ".popsection\n")

SERIES("ppgnet_series_3", BETWEEN("r10", "r11", FIRST, "8", "8") LAST("r11", "r10"));
SERIES("ppgnet_series_5",
    BETWEEN("r10", "r11", FIRST, "8", "8") BETWEEN("r11", "r10", NEXT, "16", "12") LAST("r10", "r11"));
SERIES("ppgnet_series_7",
    BETWEEN("r10", "r11", FIRST, "8", "8") BETWEEN("r11", "r10", NEXT, "16", "12")
        BETWEEN("r10", "r11", NEXT, "24", "16") LAST("r11", "r10"));
SERIES("ppgnet_series_9",
    BETWEEN("r10", "r11", FIRST, "8", "8") BETWEEN("r11", "r10", NEXT, "16", "12")
        BETWEEN("r10", "r11", NEXT, "24", "16") BETWEEN("r11", "r10", NEXT, "32", "20") LAST("r10", "r11"));

#define SERIES_OR_ANY(unrolled) unrolled

#else

#define SERIES_OR_ANY(unrolled) ppgnet_series_any

#endif

#define DEPTHWISE(name, unrolled) \
    void name(const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch) \
    { \
        (void)second; \
        ppgnet_depthwise(parameters, input, (const int8_t *)(uintptr_t)&unrolled, output, scratch); \
    }

DEPTHWISE(ppgnet_depthwise_3, SERIES_OR_ANY(ppgnet_series_3))
DEPTHWISE(ppgnet_depthwise_5, SERIES_OR_ANY(ppgnet_series_5))
DEPTHWISE(ppgnet_depthwise_7, SERIES_OR_ANY(ppgnet_series_7))
DEPTHWISE(ppgnet_depthwise_9, SERIES_OR_ANY(ppgnet_series_9))
DEPTHWISE(ppgnet_depthwise_any, ppgnet_series_any)
