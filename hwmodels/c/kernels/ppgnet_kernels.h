/* The kernels of an exported network and the records they read. Every kernel runs a sequence of instructions
   that depends on shapes alone, allocates nothing and owns no writable memory.

   Tensors are int8, time-major: element (t, c) lies at t * channels + c, and start on a word boundary. */
#ifndef PPGNET_KERNELS_H
#define PPGNET_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Heart rate: estimate and confidence (expected error) in 1/256 BPM. Classes: index, and probability in
   1/32768. `valid` is 0 when the window cannot be trusted. */
typedef struct {
    int32_t estimate;
    int32_t confidence;
    int32_t valid;
} ppgnet_result;

typedef void ppgnet_kernel(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch);

/* One operation of a network: a kernel, its parameters and byte offsets into the arena. */
typedef struct {
    ppgnet_kernel *kernel;
    const void *parameters;
    uint32_t input, second, output, scratch;
} ppgnet_step;

/* Offset that stands for the caller's input. */
#define PPGNET_FROM_CALLER 0xffffffffu

typedef struct {
    const ppgnet_step *steps;
    uint32_t count;
} ppgnet_network;

/* Shape of a convolution, depthwise convolution, fully connected layer or pooling. `data` is a stream of
   weights and requantization records, laid out for the kernel that the step names. */
typedef struct {
    uint16_t length_in, channels_in, length_out, channels_out;
    uint16_t dilation, padding_before;
    uint8_t kernel, stride;
    int8_t zero_point_in, zero_point_out;
    const void *data;
} ppgnet_layer;

/* Plain parameters of the exact fallback: TFLite's own form. `data` of the layer points here. */
typedef struct {
    const int8_t *weight;
    const int32_t *bias, *multiplier, *shift;
    int32_t lowest;
    int32_t is_depthwise;
} ppgnet_exact_data;

/* output = saturate((offset + 256 * first * a / 65536 + ..) >> 20), in words of four elements. */
typedef struct {
    int32_t first_factor, second_factor, offset;
    uint32_t words;
} ppgnet_add_parameters;

/* TFLite's ADD as it stands: zero points, and multiplier and shift of both operands and the sum. */
typedef struct {
    int32_t zero_points[3], multipliers[3], shifts[3];
    int32_t lowest;
    uint32_t elements;
} ppgnet_add_exact_parameters;

/* A history's bytes: rows that come with each step, and rows kept from the steps before. */
typedef struct {
    uint32_t new_bytes, state_bytes;
    int32_t zero_point;
} ppgnet_history_parameters;

/* A filter along successive windows: of the first `remembers` channels, over `slots` steps before the newest. */
typedef struct {
    uint16_t length, channels, remembers, dilation, slots, kernel;
    int32_t zero_point;
    const void *data;
} ppgnet_context_parameters;

/* exp(-scale * d) for d = 16 * i (times 65535) and for d = 0..15 (times 32768). */
typedef struct {
    uint16_t coarse[16], fine[16];
} ppgnet_belief;

typedef struct {
    int32_t first_q8, step_q16, max_spread_q8;
    uint32_t bins;
    ppgnet_belief belief;
} ppgnet_heart_rate_parameters;

typedef struct {
    int32_t min_probability_q15;
    uint32_t classes;
    ppgnet_belief belief;
} ppgnet_class_parameters;

/* What ppgnet_prepare_window needs to know of the network's input: the samples it normalizes over, and how
   many of them the network does not read because an earlier step did; samples between the canceller's lags;
   reciprocals of the grid's scale and of the acceleration that counts as one; what reads the accelerometer,
   NULL in a network of the pulse alone; and NULL, or how spectra are made for a network that reads those. */
struct ppgnet_window;
struct ppgnet_spectrum;
typedef struct ppgnet_input_settings {
    uint32_t samples, skipped, channels, lag;
    int32_t zero_point;
    float inverse_scale, acceleration_gain;
    void (*motion)(
        const struct ppgnet_input_settings *settings, void *to, struct ppgnet_window *w, float energy);
    const struct ppgnet_spectrum *spectrum;
} ppgnet_input_settings;

/* Spectra of 8 s at 16 Hz, zero-padded to 32 s: the first quarter of a cosine over as many samples, and how many
   frequencies the network reads; each signal becomes PPGNET_SPECTRUM_FEATURES channels, after PPGNET_SPECTRUM_PLACES
   that tell positions apart. A power's step on the grid is (its bits * slope >> 32) + offset, in 1/4096, a place's
   160 * place_slope * place + place_offset, in 1/1048576. */
#define PPGNET_SPECTRUM_SAMPLES 128
#define PPGNET_SPECTRUM_PADDED 512
#define PPGNET_SPECTRUM_FEATURES 8
#define PPGNET_SPECTRUM_PLACES 4
typedef struct ppgnet_spectrum {
    const float *cosines;
    uint32_t positions;
    int32_t slope, offset, place_slope, place_offset;
    void (*prepare)(
        const ppgnet_input_settings *settings, int8_t *input, const float *pulse, const float *acceleration);
} ppgnet_spectrum;

/* Convolutions, fully connected: four positions by two outputs at once, with a fused ReLU or without, for so
   many pairs of inputs to an output or for any number; and the brother for few positions or an odd number of
   outputs. */
ppgnet_kernel ppgnet_matrix_relu_3, ppgnet_matrix_relu_4, ppgnet_matrix_relu_5, ppgnet_matrix_relu_6;
ppgnet_kernel ppgnet_matrix_relu_8, ppgnet_matrix_relu_10, ppgnet_matrix_relu_12, ppgnet_matrix_relu_16;
ppgnet_kernel ppgnet_matrix_relu_any;
ppgnet_kernel ppgnet_matrix_linear_4, ppgnet_matrix_linear_8, ppgnet_matrix_linear_12, ppgnet_matrix_linear_16;
ppgnet_kernel ppgnet_matrix_linear_any, ppgnet_dense;
/* Depthwise convolutions of channels in fours: with up to 3, 5, 7, 9 taps and one sample of a dilation phase
   between outputs, with a fused ReLU or without, or with a ReLU and two samples; or anything. */
ppgnet_kernel ppgnet_depthwise_relu_3, ppgnet_depthwise_relu_5, ppgnet_depthwise_relu_7;
ppgnet_kernel ppgnet_depthwise_relu_9, ppgnet_depthwise_linear_3, ppgnet_depthwise_linear_5;
ppgnet_kernel ppgnet_depthwise_linear_7, ppgnet_depthwise_linear_9, ppgnet_depthwise_spaced_3;
ppgnet_kernel ppgnet_depthwise_relu_11, ppgnet_depthwise_relu_13, ppgnet_depthwise_relu_15;
ppgnet_kernel ppgnet_depthwise_relu_17, ppgnet_depthwise_relu_19, ppgnet_depthwise_relu_21;
ppgnet_kernel ppgnet_depthwise_relu_23, ppgnet_depthwise_relu_25, ppgnet_depthwise_relu_27;
ppgnet_kernel ppgnet_depthwise_relu_29, ppgnet_depthwise_relu_31, ppgnet_depthwise_relu_33;
ppgnet_kernel ppgnet_depthwise_linear_11, ppgnet_depthwise_linear_13, ppgnet_depthwise_linear_15;
ppgnet_kernel ppgnet_depthwise_linear_17, ppgnet_depthwise_linear_19, ppgnet_depthwise_linear_21;
ppgnet_kernel ppgnet_depthwise_linear_23, ppgnet_depthwise_linear_25, ppgnet_depthwise_linear_27;
ppgnet_kernel ppgnet_depthwise_linear_29, ppgnet_depthwise_linear_31, ppgnet_depthwise_linear_33;
ppgnet_kernel ppgnet_depthwise_spaced_5, ppgnet_depthwise_spaced_7, ppgnet_depthwise_spaced_9;
ppgnet_kernel ppgnet_depthwise_any, ppgnet_depthwise;
/* Any convolution with any requantization, slowly. */
ppgnet_kernel ppgnet_exact;
ppgnet_kernel ppgnet_add, ppgnet_add_exact, ppgnet_average_pool;
/* Rows kept from earlier steps before the new ones; its scratch persists. */
ppgnet_kernel ppgnet_history;
/* Filters along successive windows, of so many taps, or any with any requantization; their scratch persists. */
ppgnet_kernel ppgnet_context_2, ppgnet_context_3, ppgnet_context_4, ppgnet_context_exact;
void ppgnet_copy_words(void *to, const void *from, uint32_t words);
/* Heads write a ppgnet_result. */
ppgnet_kernel ppgnet_heart_rate, ppgnet_class;
/* What a belief over the head's bins says; its total must be 256 or more. */
void ppgnet_read_belief(
    const ppgnet_heart_rate_parameters *head, const uint16_t *belief, ppgnet_result *result);

/* The widened inputs of four output positions, interleaved, and of one; `padding` is a row of zero points. */
void ppgnet_gather(const ppgnet_layer *layer, const int8_t *input, uint32_t position, uint32_t *columns,
    const int8_t *padding);
void ppgnet_gather_loosely(const ppgnet_layer *layer, const int8_t *input, uint32_t position,
    uint32_t *columns, uint32_t step);
void ppgnet_gather_one(const ppgnet_layer *layer, const int8_t *input, uint32_t position, uint32_t *columns);

/* Run all steps; the last one writes `result`. */
void ppgnet_execute(
    const ppgnet_network *network, int8_t *arena, const int8_t *input, ppgnet_result *result);

/* Fill every history with its zero point: what the network has seen before a recording starts. */
void ppgnet_forget(const ppgnet_network *network, int8_t *arena);
/* The same for contexts: steps whose scratch is their second operand. */
void ppgnet_forget_contexts(const ppgnet_network *network, int8_t *arena);

/* Normalize, clean and quantize one window: `pulse` (samples), `acceleration` in g (samples x 3) or NULL; and
   its parts where there is acceleration. */
void ppgnet_prepare_motion(
    const ppgnet_input_settings *settings, void *to, struct ppgnet_window *w, float energy);
void ppgnet_correlate(const struct ppgnet_window *w, uint32_t ahead, uint32_t reach, float *axes, float *cross);
void ppgnet_reduce(const float *known, float *rows, const float *other, uint32_t count, uint32_t width);
void ppgnet_solve(const float *factor, const float *cross, float *weights);
float ppgnet_cancel(const struct ppgnet_window *w, uint32_t step, float energy, float *weights);
void ppgnet_prepare_signals(
    const ppgnet_input_settings *settings, void *to, const float *pulse, const float *acceleration);
/* Parts of the spectra: tables that all share; a stretch under its window; its samples folded into what four of its
   frequencies modulo 32 are transforms of; and those. */
struct ppgnet_turns;
void ppgnet_make_turns(struct ppgnet_turns *made, const float *cosines);
void ppgnet_weigh(float *to, const float *from, uint32_t length, const float *cosines);
void ppgnet_fold_first(float *to, const float *from, uint32_t length);
void ppgnet_fold_half(float *to, const float *from, const float *turn);
void ppgnet_fold_whole(float *to, const float *from, const float *turn);
void ppgnet_residue(
    float *values, const float *turn, float *powers, uint32_t residue);
void ppgnet_spectrum_stretch(
    const ppgnet_input_settings *settings, int8_t *to, const float *signal, uint32_t length,
    const struct ppgnet_turns *made);
void ppgnet_places(const ppgnet_input_settings *settings, int8_t *input);
void ppgnet_spectra(const ppgnet_input_settings *settings, int8_t *input, const float *signals);
void ppgnet_prepare_spectrum(
    const ppgnet_input_settings *settings, int8_t *input, const float *pulse, const float *acceleration);
void ppgnet_prepare_window(
    const ppgnet_input_settings *settings, int8_t *input, const float *pulse, const float *acceleration);

#ifdef __cplusplus
}
#endif

#endif
