/* Four positions by two outputs, in registers. Weights of two outputs share a halfword (256 * second + first),
   so that SMLAD of the word and of its sign-extended low bytes give 256 * sum1 + sum0 and sum0 without widening
   both. Inputs are twice (value + 128): sums come out doubled, as requantization wants them.

   The stream holds for every pair of outputs: 256 * b1 + b0 and b0, where b is twice the bias with the input's
   zero point and the 128 folded in; the packed weights; two multipliers; and a word of two bytes, each a shift
   less one, the second eight more in front of a ReLU. */
#include "ppgnet_tile.h"

#if PPGNET_DSP

/* r0 stream, r1 columns, r12 packed weights, lr first weights, r2 and r3 inputs, r4-r7 packed sums, r8-r11 first
   sums. On the stack the job's members, after the second the end of the tile's outputs, behind the last the bytes
   of all columns and a tap's first row. Loads run ahead of the products, so that a pair of inputs takes eight
   cycles on a Cortex-M7. p and f are the sums to add to. */
#define PRODUCTS(p0, p1, p2, p3, f0, f1, f2, next, weights) \
    "sxtb16 lr, r12\n" \
    "smlad r4, r12, r2, " p0 "\n" \
    "smlad r8, lr, r2, " f0 "\n" \
    "ldr r2, [r1, #16 * " next " - 8]\n" \
    "smlad r5, r12, r3, " p1 "\n" \
    "smlad r9, lr, r3, " f1 "\n" \
    "ldr r3, [r1, #16 * " next " - 4]\n" \
    "smlad r6, r12, r2, " p2 "\n" \
    "smlad r7, r12, r3, " p3 "\n" \
    "ldr r12, " weights "\n" \
    "smlad r10, lr, r2, " f2 "\n"
#define BEGIN(next, weights) PRODUCTS("r7", "r7", "r7", "r7", "r11", "r11", "r11", next, weights)
#define GO_ON(next, weights) PRODUCTS("r4", "r5", "r6", "r7", "r8", "r9", "r10", next, weights)
#define BEFORE(next) \
    "ldr r2, [r1, #16 * " next "]\n" \
    "smlad r11, lr, r3, r11\n" \
    "ldr r3, [r1, #16 * " next " + 4]\n"
#define FIRST(next) BEGIN(next, "[r0, #8 + 4 * " next "]") BEFORE(next)
#define NEXT(next) GO_ON(next, "[r0, #8 + 4 * " next "]") BEFORE(next)
#define FROM_TO_4 FIRST("1") NEXT("2") NEXT("3")
#define FROM_4_TO_8 NEXT("4") NEXT("5") NEXT("6") NEXT("7")
#define FROM_8_TO_12 NEXT("8") NEXT("9") NEXT("10") NEXT("11")
#define FROM_12_TO_16 NEXT("12") NEXT("13") NEXT("14") NEXT("15")
/* Leaves the first multiplier in r12, the shifts in r2 and the stream at the multipliers. */
#define LAST(pairs) \
    GO_ON(pairs, "[r0, #8 + 4 * " pairs "]") \
    "ldr r2, [r0, #16 + 4 * " pairs "]\n" \
    "smlad r11, lr, r3, r11\n" \
    "adds r0, #8 + 4 * " pairs "\n"

#define AHEAD(next) GO_ON(next, "[r0], #4") BEFORE(next)
/* Two pairs, then four at a time, entered in the middle where two are left over. */
#define ANY \
    "ldr lr, [sp, #56]\n" \
    "adds r0, #12\n" \
    "lsls lr, lr, #26\n" BEGIN("1", "[r0], #4") BEFORE("1") AHEAD("2") \
    "bpl 3f\n" \
    "adds r1, #32\n" \
    ".p2align 2\n" \
    "2:\n" AHEAD("1") AHEAD("2") \
    "3:\n" AHEAD("3") \
    "sxtb16 lr, r12\n" \
    "smlad r4, r12, r2, r4\n" \
    "smlad r8, lr, r2, r8\n" \
    "ldr r2, [r1, #56]\n" \
    "smlad r5, r12, r3, r5\n" \
    "smlad r9, lr, r3, r9\n" \
    "ldr r3, [r1, #60]\n" \
    "smlad r10, lr, r2, r10\n" \
    "smlad r11, lr, r3, r11\n" \
    "ldr lr, [sp, #20]\n" \
    "smlad r6, r12, r2, r6\n" \
    "ldr r2, [r1, #64]!\n" \
    "smlad r7, r12, r3, r7\n" \
    "ldr r12, [r0], #4\n" \
    "cmp r1, lr\n" \
    "ldr r3, [r1, #4]\n" \
    "bne 2b\n" \
    "ldr r2, [r0, #4]\n" \
    "subs r0, #4\n"

/* The second sums are left 256 times too large: the shift makes up for it. */
#define RELU \
    "sub r4, r4, r8\n" \
    "sub r5, r5, r9\n" \
    "mvn r3, #254\n" \
    "sub r6, r6, r10\n" \
    "lsl r3, r3, r2\n" \
    "sub r7, r7, r11\n" \
    "smmlar r8, r8, r12, r3\n" \
    "ldr lr, [r0, #4]\n" \
    "smmlar r9, r9, r12, r3\n" \
    "adds r0, #12\n" \
    "smmlar r10, r10, r12, r3\n" \
    "asr r8, r8, r2\n" \
    "smmlar r11, r11, r12, r3\n" \
    "lsr r12, r2, #8\n" \
    "mvn r3, #254\n" \
    "asr r9, r9, r2\n" \
    "lsl r3, r3, r12\n" \
    "asr r10, r10, r2\n" \
    "adds r3, #128\n" \
    "asr r11, r11, r2\n" \
    "ssat r8, #8, r8, asr #1\n" \
    "smmla r4, r4, lr, r3\n" \
    "ssat r9, #8, r9, asr #1\n" \
    "smmla r5, r5, lr, r3\n" \
    "ssat r10, #8, r10, asr #1\n" \
    "smmla r6, r6, lr, r3\n" \
    "ssat r11, #8, r11, asr #1\n" \
    "smmla r7, r7, lr, r3\n" \
    "asr r4, r4, r12\n" \
    "ldr r2, [sp]\n" \
    "asr r5, r5, r12\n" \
    "ldr r3, [sp, #4]\n" \
    "asr r6, r6, r12\n" \
    "asr r7, r7, r12\n"
#define LINEAR \
    "sub r4, r4, r8\n" \
    "ldr r3, [sp, #12]\n" \
    "sub r5, r5, r9\n" \
    "asr r4, r4, #8\n" \
    "lsl r3, r3, r2\n" \
    "sub r6, r6, r10\n" \
    "add r1, r3, r8, asr #31\n" \
    "sub r7, r7, r11\n" \
    "smmlar r8, r8, r12, r1\n" \
    "add r1, r3, r9, asr #31\n" \
    "asr r5, r5, #8\n" \
    "smmlar r9, r9, r12, r1\n" \
    "add r1, r3, r10, asr #31\n" \
    "asr r6, r6, #8\n" \
    "smmlar r10, r10, r12, r1\n" \
    "add r1, r3, r11, asr #31\n" \
    "asr r8, r8, r2\n" \
    "smmlar r11, r11, r12, r1\n" \
    "lsr r12, r2, #8\n" \
    "ldr r3, [sp, #12]\n" \
    "asr r9, r9, r2\n" \
    "ldr lr, [r0, #4]\n" \
    "asr r10, r10, r2\n" \
    "lsl r3, r3, r12\n" \
    "asr r11, r11, r2\n" \
    "add r1, r3, r4, asr #31\n" \
    "asr r7, r7, #8\n" \
    "smmlar r4, r4, lr, r1\n" \
    "add r1, r3, r5, asr #31\n" \
    "ssat r8, #8, r8, asr #1\n" \
    "smmlar r5, r5, lr, r1\n" \
    "add r1, r3, r6, asr #31\n" \
    "ssat r9, #8, r9, asr #1\n" \
    "smmlar r6, r6, lr, r1\n" \
    "add r1, r3, r7, asr #31\n" \
    "ssat r10, #8, r10, asr #1\n" \
    "smmlar r7, r7, lr, r1\n" \
    "ssat r11, #8, r11, asr #1\n" \
    "adds r0, #12\n" \
    "asr r4, r4, r12\n" \
    "ldr r2, [sp]\n" \
    "asr r5, r5, r12\n" \
    "ldr r3, [sp, #4]\n" \
    "asr r6, r6, r12\n" \
    "asr r7, r7, r12\n"

#define TILE(name, products, requantize) \
    __asm__(".pushsection .text." name ", \"ax\", %progbits\n" \
            ".syntax unified\n" \
            ".thumb\n" \
            ".p2align 2\n" \
            ".global " name "\n" \
            ".thumb_func\n" \
            ".type " name ", %function\n" name ":\n" \
            "push {r4-r11, lr}\n" \
            "sub sp, #68\n" \
            "ldm r0, {r1-r12, lr}\n" \
            "add r0, sp, #12\n" \
            "strd r1, r2, [sp]\n" \
            "stm r0, {r3-r12, lr}\n" \
            "subs r5, r5, r4\n" \
            "str r5, [sp, #56]\n" \
            "mov r2, r1\n" \
            "0:\n" /* a tile that begins at r2 */ \
            "ldr r3, [sp, #4]\n" \
            "ldr r4, [sp, #28]\n" \
            "adds r3, r3, r2\n" \
            "ldr r2, [sp, #36]\n" \
            "str r3, [sp, #8]\n" \
            "ldr r0, [sp, #16]\n" \
            "cbz r2, 5f\n" \
            "4:\n" \
            "ldr r5, [sp, #32]\n" \
            "str r4, [sp, #60]\n" \
            "adds r7, r4, r5\n" \
            "ldr r1, [sp, #44]\n" \
            "adds r6, r7, r5\n" \
            "adds r5, r6, r5\n" \
            "bl ppgnet_widen\n" \
            "ldr r4, [sp, #60]\n" \
            "ldr r3, [sp, #40]\n" \
            "subs r2, #1\n" \
            "add r4, r4, r3\n" \
            "bne 4b\n" \
            "5:\n" \
            "ldr r0, [sp, #24]\n" \
            "ldr r1, [sp, #16]\n" \
            "1:\n" \
            "ldr r12, [r0, #8]\n" \
            "ldr r2, [r1]\n" \
            "ldr r3, [r1, #4]\n" \
            "ldr r7, [r0]\n" \
            "ldr r11, [r0, #4]\n" products requantize /* Both outputs of a position leave as one halfword. */ \
            "ssat r4, #8, r4, asr #1\n" \
            "add r12, r2, r3\n" \
            "ssat r5, #8, r5, asr #1\n" \
            "ldr r1, [sp, #16]\n" \
            "ssat r6, #8, r6, asr #1\n" \
            "ldr lr, [sp, #8]\n" \
            "ssat r7, #8, r7, asr #1\n" \
            "bfi r8, r4, #8, #8\n" \
            "strh r8, [r2], #2\n" \
            "bfi r9, r5, #8, #8\n" \
            "strh r9, [r12]\n" \
            "bfi r10, r6, #8, #8\n" \
            "strh r10, [r12, r3]\n" \
            "bfi r11, r7, #8, #8\n" \
            "strh r11, [r12, r3, lsl #1]\n" \
            "cmp r2, lr\n" \
            "str r2, [sp]\n" \
            "bne 1b\n" \
            "ldr r4, [sp, #48]\n" \
            "ldr r5, [sp, #28]\n" \
            "ldr r6, [sp, #52]\n" \
            "add r2, r12, r3, lsl #1\n" \
            "adds r5, r5, r6\n" \
            "adds r2, #2\n" \
            "subs r4, #1\n" \
            "str r5, [sp, #28]\n" \
            "str r4, [sp, #48]\n" \
            "str r2, [sp]\n" \
            "bne 0b\n" \
            "add sp, #68\n" \
            "pop {r4-r11, pc}\n" \
            ".size " name ", . - " name "\n" \
            ".popsection\n")

TILE("ppgnet_tile_relu_3", FIRST("1") NEXT("2") LAST("3"), RELU);
TILE("ppgnet_tile_relu_4", FROM_TO_4 LAST("4"), RELU);
TILE("ppgnet_tile_relu_5", FROM_TO_4 NEXT("4") LAST("5"), RELU);
TILE("ppgnet_tile_relu_6", FROM_TO_4 NEXT("4") NEXT("5") LAST("6"), RELU);
TILE("ppgnet_tile_relu_8", FROM_TO_4 FROM_4_TO_8 LAST("8"), RELU);
TILE("ppgnet_tile_relu_10", FROM_TO_4 FROM_4_TO_8 NEXT("8") NEXT("9") LAST("10"), RELU);
TILE("ppgnet_tile_relu_12", FROM_TO_4 FROM_4_TO_8 FROM_8_TO_12 LAST("12"), RELU);
TILE("ppgnet_tile_relu_16", FROM_TO_4 FROM_4_TO_8 FROM_8_TO_12 FROM_12_TO_16 LAST("16"), RELU);
TILE("ppgnet_tile_relu_any", ANY, RELU);
TILE("ppgnet_tile_linear_4", FROM_TO_4 LAST("4"), LINEAR);
TILE("ppgnet_tile_linear_8", FROM_TO_4 FROM_4_TO_8 LAST("8"), LINEAR);
TILE("ppgnet_tile_linear_12", FROM_TO_4 FROM_4_TO_8 FROM_8_TO_12 LAST("12"), LINEAR);
TILE("ppgnet_tile_linear_16", FROM_TO_4 FROM_4_TO_8 FROM_8_TO_12 FROM_12_TO_16 LAST("16"), LINEAR);
TILE("ppgnet_tile_linear_any", ANY, LINEAR);

#else

/* What the assembly computes, pair by pair. */
static void compute_tile(const ppgnet_tile_job *shape, int8_t *output, int has_relu)
{
    const ppgnet_word *stream = shape->stream;
    const uint32_t *columns = shape->columns;
    for (uint32_t channel = 0; channel < shape->channels_out; channel += 2) {
        int32_t packed[4], first[4];
        for (int position = 0; position < 4; position++) {
            packed[position] = (int32_t)stream[0];
            first[position] = (int32_t)stream[1];
        }
        stream += 2;
        for (const uint32_t *pair = columns; pair != shape->columns_end; pair += 4, stream++)
            for (int position = 0; position < 4; position++) {
                packed[position] = ppgnet_smlad(*stream, pair[position], packed[position]);
                first[position] = ppgnet_smlad(ppgnet_sxtb16(*stream), pair[position], first[position]);
            }
        int32_t shift0 = (int32_t)(stream[2] & 0xff), shift1 = (int32_t)(stream[2] >> 8);
        int32_t offset0 = shape->rounding * (1 << shift0), offset1 = shape->rounding * (1 << shift1);
        for (int position = 0; position < 4; position++) {
            int32_t second = (int32_t)((uint32_t)packed[position] - (uint32_t)first[position]);
            int8_t *at = output + (uint32_t)position * shape->channels_out + channel;
            if (has_relu) {
                int32_t high = ppgnet_smmlar(first[position], (int32_t)stream[0], offset0);
                at[0] = (int8_t)ppgnet_ssat8_half(high >> shift0);
                high = ppgnet_smmla(second, (int32_t)stream[1], offset1 + 128);
                at[1] = (int8_t)ppgnet_ssat8_half(high >> shift1);
            } else {
                at[0] = (int8_t)ppgnet_requantize(first[position], (int32_t)stream[0], shift0, offset0);
                at[1] = (int8_t)ppgnet_requantize(second >> 8, (int32_t)stream[1], shift1, offset1);
            }
        }
        stream += 3;
    }
}

static void run_tiles(const ppgnet_tile_job *job, int has_relu)
{
    const int8_t *input = job->input;
    int8_t *output = job->output;
    for (uint32_t tile = 0; tile < job->tiles; tile++, input += job->advance, output += 4 * job->channels_out) {
        uint32_t *columns = job->columns;
        const int8_t *row = input;
        for (uint32_t tap = 0; tap < job->taps; tap++, row += job->tap_bytes) {
            const int8_t *rows[4] = {row, row + job->pitch, row + 2 * job->pitch, row + 3 * job->pitch};
            columns = ppgnet_widen_rows(rows, job->words, columns);
        }
        compute_tile(job, output, has_relu);
    }
}

#define TILE(name, has_relu) \
    void name(const ppgnet_tile_job *job) \
    { \
        run_tiles(job, has_relu); \
    }
TILE(ppgnet_tile_relu_3, 1)
TILE(ppgnet_tile_relu_4, 1)
TILE(ppgnet_tile_relu_5, 1)
TILE(ppgnet_tile_relu_6, 1)
TILE(ppgnet_tile_relu_8, 1)
TILE(ppgnet_tile_relu_10, 1)
TILE(ppgnet_tile_relu_12, 1)
TILE(ppgnet_tile_relu_16, 1)
TILE(ppgnet_tile_relu_any, 1)
TILE(ppgnet_tile_linear_4, 0)
TILE(ppgnet_tile_linear_8, 0)
TILE(ppgnet_tile_linear_12, 0)
TILE(ppgnet_tile_linear_16, 0)
TILE(ppgnet_tile_linear_any, 0)

#endif
