/* Depthwise sums over samples laid out as int16 pairs, so that one SMLAD serves two taps. Weights are pairs
   (w0 w1)(w2 w3).. for outputs at an even sample and (0 w0)(w1 w2).. for those at an odd one, doubled, as
   requantization wants the sums. Results of four channels leave as words. */
#include "ppgnet_series.h"

#if PPGNET_DSP

#define FUNCTION(name, body) \
    __asm__(".pushsection .text." name ", \"ax\", %progbits\n" \
            ".syntax unified\n" \
            ".thumb\n" \
            ".p2align 2\n" \
            ".global " name "\n" \
            ".thumb_func\n" \
            ".type " name ", %function\n" name ":\n" body ".size " name ", . - " name "\n" \
            ".popsection\n")

/* r4 first of a pair's rows, r5 where to, r6 pairs, r7 bytes apart. */
FUNCTION("ppgnet_gather_series",
    "push {r4-r11, lr}\n"
    "mov r7, r3\n"
    "1:\n"
    "ldr r4, [r0]\n"
    "ldr r6, [r0, #4]\n"
    "ldr r5, [r0, #8]\n"
    "adds r0, #12\n"
    "add r4, r4, r2\n"
    "cbz r6, 3f\n"
    "ldr r8, [r4]\n"
    "ldr r10, [r4, r7]\n"
    ".p2align 2\n"
    "2:\n"
    "sxtb16 r9, r8, ror #8\n"
    "subs r6, #1\n"
    "it ne\n" /* the last pair is loaded again rather than what lies behind it */
    "addne r4, r4, r7, lsl #1\n"
    "sxtb16 r12, r8\n"
    "sxtb16 r11, r10, ror #8\n"
    "ldr r8, [r4]\n"
    "sxtb16 r3, r10\n"
    "ldr r10, [r4, r7]\n"
    "pkhbt lr, r9, r11, lsl #16\n"
    "str lr, [r5, #4]\n"
    "pkhtb r11, r11, r9, asr #16\n"
    "str r11, [r5, #12]\n"
    "pkhbt r9, r12, r3, lsl #16\n"
    "str r9, [r5], #16\n"
    "pkhtb r3, r3, r12, asr #16\n"
    "str r3, [r5, #-8]\n"
    "bne 2b\n"
    "3:\n"
    "cmp r0, r1\n"
    "bne 1b\n"
    "pop {r4-r11, pc}\n");

/* On the stack a frame for each channel: its weights, even and odd pairs in turn, then bias, multiplier, offset
   and shift less one; behind the frames output, step and groups' end. r0 group, r1 samples, r4-r7 the results. */
#define WORD(frame, at) "[sp, #" frame " + 4 * (" at ")]"
#define SAMPLE(channel, at) "[r1, #4 * " channel " + 16 * " at "]"

#define PAIR_OF(taps, word, even) "sxtb16 " even ", " word taps "\n" "sadd16 " even ", " even ", " even "\n"
/* The odd pair between two even ones. */
#define ODD(odd, before, even) "ror " odd ", " before ", #16\n" "pkhbt " odd ", " odd ", " even ", lsl #16\n"
#define CONSTANTS(last, bytes) \
    "lsr r7, " last ", #24\n" \
    "ldr r4, [r1]\n" \
    "ldr r5, [r1, #4]\n" \
    "lsl r6, r2, r7\n" \
    "adds r1, #" bytes "\n" \
    "stm r3!, {r4, r5, r6, r7}\n"
#define UNPACK_3 \
    "ldr r12, [r1, #8]\n" PAIR_OF("", "r12", "r4") "lsl r5, r4, #16\n" PAIR_OF(", ror #8", "r12", "r6") \
    "uxth r6, r6\n" ODD("r7", "r4", "r6") "stm r3!, {r4-r7}\n" CONSTANTS("r12", "12")
#define UNPACK_5 \
    "ldr r11, [r1, #8]\n" \
    "ldr r12, [r1, #12]\n" PAIR_OF("", "r11", "r4") "lsl r5, r4, #16\n" PAIR_OF(", ror #8", "r11", "r6") \
    PAIR_OF("", "r12", "r8") ODD("r7", "r4", "r6") ODD("r9", "r6", "r8") "stm r3!, {r4-r9}\n" \
    CONSTANTS("r12", "16")
#define UNPACK_7 \
    "ldr r11, [r1, #8]\n" \
    "ldr r12, [r1, #12]\n" PAIR_OF("", "r11", "r4") "lsl r5, r4, #16\n" PAIR_OF(", ror #8", "r11", "r6") \
    PAIR_OF("", "r12", "r8") PAIR_OF(", ror #8", "r12", "r10") "uxth r10, r10\n" ODD("r7", "r4", "r6") \
    ODD("r9", "r6", "r8") ODD("r11", "r8", "r10") "stm r3!, {r4-r11}\n" CONSTANTS("r12", "16")
#define UNPACK_9 \
    "ldr r11, [r1, #8]\n" \
    "ldr lr, [r1, #12]\n" PAIR_OF("", "r11", "r4") "lsl r5, r4, #16\n" PAIR_OF(", ror #8", "r11", "r6") \
    PAIR_OF("", "lr", "r8") PAIR_OF(", ror #8", "lr", "r10") "ldr lr, [r1, #16]\n" PAIR_OF("", "lr", "r12") \
    ODD("r7", "r4", "r6") ODD("r9", "r6", "r8") ODD("r11", "r8", "r10") ODD("lr", "r10", "r12") \
    "stm r3!, {r4-r12, lr}\n" \
    "ldr r12, [r1, #16]\n" CONSTANTS("r12", "20")

/* Eleven taps and more: four weights a word, the even pair before them in r10. */
#define FOUR_BEGIN(at) "ldr r12, [r1, #8 + 4 * " at "]\n" PAIR_OF("", "r12", "r4") ODD("r5", "r10", "r4")
#define FOUR(at) \
    FOUR_BEGIN(at) PAIR_OF(", ror #8", "r12", "r6") ODD("r7", "r4", "r6") "mov r10, r6\n" \
    "stm r3!, {r4-r7}\n"
#define THREE_LAST(at, bytes) \
    FOUR_BEGIN(at) PAIR_OF(", ror #8", "r12", "r6") "uxth r6, r6\n" ODD("r7", "r4", "r6") \
    "stm r3!, {r4-r7}\n" CONSTANTS("r12", bytes)
#define ONE_LAST(at, bytes) FOUR_BEGIN(at) "stm r3!, {r4, r5}\n" CONSTANTS("r12", bytes)
#define FOURS_2 "mov r10, #0\n" FOUR("0") FOUR("1")
#define FOURS_3 FOURS_2 FOUR("2")
#define FOURS_4 FOURS_3 FOUR("3")
#define FOURS_5 FOURS_4 FOUR("4")
#define FOURS_6 FOURS_5 FOUR("5")
#define FOURS_7 FOURS_6 FOUR("6")
#define FOURS_8 FOURS_7 FOUR("7")
#define UNPACK_11 FOURS_2 THREE_LAST("2", "20")
#define UNPACK_13 FOURS_3 ONE_LAST("3", "24")
#define UNPACK_15 FOURS_3 THREE_LAST("3", "24")
#define UNPACK_17 FOURS_4 ONE_LAST("4", "28")
#define UNPACK_19 FOURS_4 THREE_LAST("4", "28")
#define UNPACK_21 FOURS_5 ONE_LAST("5", "32")
#define UNPACK_23 FOURS_5 THREE_LAST("5", "32")
#define UNPACK_25 FOURS_6 ONE_LAST("6", "36")
#define UNPACK_27 FOURS_6 THREE_LAST("6", "36")
#define UNPACK_29 FOURS_7 ONE_LAST("7", "40")
#define UNPACK_31 FOURS_7 THREE_LAST("7", "40")
#define UNPACK_33 FOURS_8 ONE_LAST("8", "44")

/* Outputs one sample apart read samples in turn: the first two outputs from one on, the others from the next. */
#define PRODUCTS(a0, a1, a2, a3, s0, s1, s2, s3, first, second, next_sample, next_even, next_odd) \
    "smlad " a0 ", r12, " first ", " s0 "\n" \
    "smlad " a1 ", lr, " first ", " s1 "\n" \
    "ldr " first ", " next_sample "\n" \
    "smlad " a2 ", r12, " second ", " s2 "\n" \
    "ldr r12, " next_even "\n" \
    "smlad " a3 ", lr, " second ", " s3 "\n" \
    "ldr lr, " next_odd "\n"
#define BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) \
    merge1 "smlad " a0 ", r12, r2, " a3 "\n" merge2 "smlad " a1 ", lr, r2, " a3 "\n" \
    "ldr r2, " SAMPLE(channel, "2") "\n" \
    "smlad " a2 ", r12, r3, " a3 "\n" \
    "ldr r12, " WORD(frame, "2") "\n" \
    "smlad " a3 ", lr, r3, " a3 "\n" \
    "ldr lr, " WORD(frame, "3") "\n"
#define GO_ON(a0, a1, a2, a3, frame, channel, first, second, pair) \
    PRODUCTS(a0, a1, a2, a3, a0, a1, a2, a3, first, second, SAMPLE(channel, "(" pair " + 2)"), \
        WORD(frame, "2 * " pair " + 2"), WORD(frame, "2 * " pair " + 3"))
/* The shift ends in `second`, the multiplier in r12, the offset in lr. */
#define END(a0, a1, a2, a3, frame, first, second, pair) \
    "smlad " a2 ", r12, " second ", " a2 "\n" \
    "smlad " a3 ", lr, " second ", " a3 "\n" \
    "ldr " second ", " WORD(frame, "2 * " pair " + 5") "\n" \
    "smlad " a0 ", r12, " first ", " a0 "\n" \
    "ldr r12, " WORD(frame, "2 * " pair " + 3") "\n" \
    "smlad " a1 ", lr, " first ", " a1 "\n" \
    "ldr lr, " WORD(frame, "2 * " pair " + 4") "\n"
#define SATURATE(a0, a1, a2, a3, shift, next_even, next_shift) \
    "ssat " a3 ", #8, " a3 ", asr #1\n" \
    "asr " a0 ", " a0 ", " shift "\n" \
    "ssat " a2 ", #8, " a2 ", asr #1\n" \
    "asr " a1 ", " a1 ", " shift "\n" \
    "ssat " a0 ", #8, " a0 ", asr #1\n" \
    "ldr r12, " next_even "\n" \
    "ssat " a1 ", #8, " a1 ", asr #1\n" \
    "ldr " shift ", " next_shift "\n"
#define RELU(a0, a1, a2, a3, shift, free, next_even, next_shift, next_free) \
    "smmlar " a3 ", " a3 ", r12, lr\n" \
    "ldr " free ", " next_free "\n" \
    "smmlar " a2 ", " a2 ", r12, lr\n" \
    "smmlar " a0 ", " a0 ", r12, lr\n" \
    "asr " a3 ", " a3 ", " shift "\n" \
    "smmlar " a1 ", " a1 ", r12, lr\n" \
    "asr " a2 ", " a2 ", " shift "\n" SATURATE(a0, a1, a2, a3, shift, next_even, next_shift)
#define LINEAR(a0, a1, a2, a3, shift, free, next_even, next_shift, next_free) \
    "add " free ", lr, " a3 ", asr #31\n" \
    "smmlar " a3 ", " a3 ", r12, " free "\n" \
    "add " free ", lr, " a2 ", asr #31\n" \
    "smmlar " a2 ", " a2 ", r12, " free "\n" \
    "add " free ", lr, " a0 ", asr #31\n" \
    "asr " a3 ", " a3 ", " shift "\n" \
    "smmlar " a0 ", " a0 ", r12, " free "\n" \
    "add " free ", lr, " a1 ", asr #31\n" \
    "asr " a2 ", " a2 ", " shift "\n" \
    "smmlar " a1 ", " a1 ", r12, " free "\n" \
    "ldr " free ", " next_free "\n" SATURATE(a0, a1, a2, a3, shift, next_even, next_shift)

/* A channel's four sums; `finish` requantizes them and loads what the next channel begins with: its even pair to
   r12, its samples to r2 and r3. */
#define SUMS_3(a0, a1, a2, a3, frame, channel, merge1, merge2, finish, even, first, second) \
    BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) \
    END(a0, a1, a2, a3, frame, "r3", "r2", "1") finish(a0, a1, a2, a3, "r2", "r3", even, first, second)
#define SUMS_5(a0, a1, a2, a3, frame, channel, merge1, merge2, finish, even, first, second) \
    BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) \
    GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "1") \
    END(a0, a1, a2, a3, frame, "r2", "r3", "2") finish(a0, a1, a2, a3, "r3", "r2", even, second, first)
#define SUMS_7(a0, a1, a2, a3, frame, channel, merge1, merge2, finish, even, first, second) \
    BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) \
    GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "1") GO_ON(a0, a1, a2, a3, frame, channel, "r2", "r3", "2") \
    END(a0, a1, a2, a3, frame, "r3", "r2", "3") finish(a0, a1, a2, a3, "r2", "r3", even, first, second)
#define SUMS_9(a0, a1, a2, a3, frame, channel, merge1, merge2, finish, even, first, second) \
    BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) \
    GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "1") GO_ON(a0, a1, a2, a3, frame, channel, "r2", "r3", "2") \
    GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "3") \
    END(a0, a1, a2, a3, frame, "r2", "r3", "4") finish(a0, a1, a2, a3, "r3", "r2", even, second, first)

/* The pairs between the first and the last. */
#define BETWEEN_9(a0, a1, a2, a3, frame, channel) \
    GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "1") GO_ON(a0, a1, a2, a3, frame, channel, "r2", "r3", "2") \
    GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "3")
#define BETWEEN_11(a0, a1, a2, a3, frame, channel) \
    BETWEEN_9(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r2", "r3", "4")
#define BETWEEN_13(a0, a1, a2, a3, frame, channel) \
    BETWEEN_11(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "5")
#define BETWEEN_15(a0, a1, a2, a3, frame, channel) \
    BETWEEN_13(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r2", "r3", "6")
#define BETWEEN_17(a0, a1, a2, a3, frame, channel) \
    BETWEEN_15(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "7")
#define BETWEEN_19(a0, a1, a2, a3, frame, channel) \
    BETWEEN_17(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r2", "r3", "8")
#define BETWEEN_21(a0, a1, a2, a3, frame, channel) \
    BETWEEN_19(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "9")
#define BETWEEN_23(a0, a1, a2, a3, frame, channel) \
    BETWEEN_21(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r2", "r3", "10")
#define BETWEEN_25(a0, a1, a2, a3, frame, channel) \
    BETWEEN_23(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "11")
#define BETWEEN_27(a0, a1, a2, a3, frame, channel) \
    BETWEEN_25(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r2", "r3", "12")
#define BETWEEN_29(a0, a1, a2, a3, frame, channel) \
    BETWEEN_27(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "13")
#define BETWEEN_31(a0, a1, a2, a3, frame, channel) \
    BETWEEN_29(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r2", "r3", "14")
#define BETWEEN_33(a0, a1, a2, a3, frame, channel) \
    BETWEEN_31(a0, a1, a2, a3, frame, channel) GO_ON(a0, a1, a2, a3, frame, channel, "r3", "r2", "15")
#define SUMS_MANY_ODD( \
    between, pair, a0, a1, a2, a3, frame, channel, merge1, merge2, finish, even, first, second) \
    BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) between(a0, a1, a2, a3, frame, channel) \
    END(a0, a1, a2, a3, frame, "r3", "r2", pair) finish(a0, a1, a2, a3, "r2", "r3", even, first, second)
#define SUMS_MANY_EVEN( \
    between, pair, a0, a1, a2, a3, frame, channel, merge1, merge2, finish, even, first, second) \
    BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) between(a0, a1, a2, a3, frame, channel) \
    END(a0, a1, a2, a3, frame, "r2", "r3", pair) finish(a0, a1, a2, a3, "r3", "r2", even, second, first)
#define SUMS_11(...) SUMS_MANY_ODD(BETWEEN_11, "5", __VA_ARGS__)
#define SUMS_13(...) SUMS_MANY_EVEN(BETWEEN_13, "6", __VA_ARGS__)
#define SUMS_15(...) SUMS_MANY_ODD(BETWEEN_15, "7", __VA_ARGS__)
#define SUMS_17(...) SUMS_MANY_EVEN(BETWEEN_17, "8", __VA_ARGS__)
#define SUMS_19(...) SUMS_MANY_ODD(BETWEEN_19, "9", __VA_ARGS__)
#define SUMS_21(...) SUMS_MANY_EVEN(BETWEEN_21, "10", __VA_ARGS__)
#define SUMS_23(...) SUMS_MANY_ODD(BETWEEN_23, "11", __VA_ARGS__)
#define SUMS_25(...) SUMS_MANY_EVEN(BETWEEN_25, "12", __VA_ARGS__)
#define SUMS_27(...) SUMS_MANY_ODD(BETWEEN_27, "13", __VA_ARGS__)
#define SUMS_29(...) SUMS_MANY_EVEN(BETWEEN_29, "14", __VA_ARGS__)
#define SUMS_31(...) SUMS_MANY_ODD(BETWEEN_31, "15", __VA_ARGS__)
#define SUMS_33(...) SUMS_MANY_EVEN(BETWEEN_33, "16", __VA_ARGS__)

#define MERGE(to, from, place) "bfi " to ", " from ", #" place ", #8\n"
/* Outputs two samples apart read at even samples alone, each pair of weights with four pairs of samples. */
#define SPACED(a0, a1, a2, a3, x0, x1, x2, x3, frame, channel, pair) \
    "smlad " a0 ", lr, " x0 ", " a0 "\n" \
    "ldr " x0 ", " SAMPLE(channel, "(" pair " + 4)") "\n" \
    "smlad " a1 ", lr, " x1 ", " a1 "\n" \
    "smlad " a2 ", lr, " x2 ", " a2 "\n" \
    "smlad " a3 ", lr, " x3 ", " a3 "\n" \
    "ldr lr, " WORD(frame, "2 * " pair " + 2") "\n"
#define SPACED_BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) \
    "ldr r0, " SAMPLE(channel, "3") "\n" merge1 "smlad " a0 ", lr, r2, " a3 "\n" merge2 "smlad " a1 \
    ", lr, r3, " a3 "\n" \
    "ldr r2, " SAMPLE(channel, "4") "\n" \
    "smlad " a2 ", lr, r12, " a3 "\n" \
    "smlad " a3 ", lr, r0, " a3 "\n" \
    "ldr lr, " WORD(frame, "2") "\n"
#define SPACED_END(a0, a1, a2, a3, x0, x1, x2, x3, frame, pair) \
    "smlad " a3 ", lr, " x3 ", " a3 "\n" \
    "smlad " a2 ", lr, " x2 ", " a2 "\n" \
    "smlad " a0 ", lr, " x0 ", " a0 "\n" \
    "smlad " a1 ", lr, " x1 ", " a1 "\n" \
    "ldr r12, " WORD(frame, "2 * " pair " + 3") "\n" \
    "ldr lr, " WORD(frame, "2 * " pair " + 4") "\n" \
    "ldr r2, " WORD(frame, "2 * " pair " + 5") "\n"
#define SUMS_SPACED_3(a0, a1, a2, a3, frame, channel, merge1, merge2, finish, even, first, second) \
    SPACED_BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) \
    SPACED_END(a0, a1, a2, a3, "r3", "r12", "r0", "r2", frame, "1") \
    finish(a0, a1, a2, a3, "r2", "r3", even, first, second)
#define SUMS_SPACED_5(a0, a1, a2, a3, frame, channel, merge1, merge2, finish, even, first, second) \
    SPACED_BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) \
    SPACED(a0, a1, a2, a3, "r3", "r12", "r0", "r2", frame, channel, "1") \
    SPACED_END(a0, a1, a2, a3, "r12", "r0", "r2", "r3", frame, "2") \
    finish(a0, a1, a2, a3, "r2", "r3", even, first, second)
#define SUMS_SPACED_7(a0, a1, a2, a3, frame, channel, merge1, merge2, finish, even, first, second) \
    SPACED_BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) \
    SPACED(a0, a1, a2, a3, "r3", "r12", "r0", "r2", frame, channel, "1") \
    SPACED(a0, a1, a2, a3, "r12", "r0", "r2", "r3", frame, channel, "2") \
    SPACED_END(a0, a1, a2, a3, "r0", "r2", "r3", "r12", frame, "3") \
    finish(a0, a1, a2, a3, "r2", "r3", even, first, second)
#define SUMS_SPACED_9(a0, a1, a2, a3, frame, channel, merge1, merge2, finish, even, first, second) \
    SPACED_BEGIN(a0, a1, a2, a3, frame, channel, merge1, merge2) \
    SPACED(a0, a1, a2, a3, "r3", "r12", "r0", "r2", frame, channel, "1") \
    SPACED(a0, a1, a2, a3, "r12", "r0", "r2", "r3", frame, channel, "2") \
    SPACED(a0, a1, a2, a3, "r0", "r2", "r3", "r12", frame, channel, "3") \
    SPACED_END(a0, a1, a2, a3, "r2", "r3", "r12", "r0", frame, "4") \
    finish(a0, a1, a2, a3, "r2", "r3", even, first, second)

/* All four channels of one group: `third(frame, channel)` is what a channel wants in r12 besides its first two
   samples in r2 and r3, `lead` the number of the word for lr. Results are merged while the next products begin. */
#define CHANNEL(sums, bias, lead, frame, channel, place, finish, third, first, second) \
    MERGE("r7", "r11", place) \
    "ldr lr, " WORD(frame, lead) "\n" MERGE("r4", "r8", place) \
    "ldr r11, " WORD(frame, bias) "\n" \
    sums("r8", "r9", "r10", "r11", frame, channel, MERGE("r5", "r9", place), MERGE("r6", "r10", place), finish, \
        third, first, second)
#define GROUP(sums, bias, lead, third, last, frame1, frame2, frame3, frames, finish) \
    "ldr r2, [r1]\n" \
    "ldr r12, " third("0", "0") "\n" \
    "ldr lr, " WORD("0", lead) "\n" \
    "ldr r3, [r1, #16]\n" \
    "ldr r7, " WORD("0", bias) "\n" \
    sums("r4", "r5", "r6", "r7", "0", "0", "", "", finish, third(frame1, "1"), SAMPLE("1", "0"), \
        SAMPLE("1", "1")) \
    "ldr lr, " WORD(frame1, lead) "\n" \
    "ldr r11, " WORD(frame1, bias) "\n" \
    sums("r8", "r9", "r10", "r11", frame1, "1", "", "", finish, third(frame2, "2"), SAMPLE("2", "0"), \
        SAMPLE("2", "1")) \
    CHANNEL(sums, bias, lead, frame2, "2", "8", finish, third(frame3, "3"), SAMPLE("3", "0"), SAMPLE("3", "1")) \
    CHANNEL(sums, bias, lead, frame3, "3", "16", finish, last(frames), WORD(frames, "0"), WORD(frames, "2")) \
    MERGE("r4", "r8", "24") \
    "ldr lr, " WORD(frames, "1") "\n"
#define WRITE \
    "add r12, r12, r2\n" MERGE("r5", "r9", "24") \
    "str r4, [r12]\n" MERGE("r6", "r10", "24") \
    "str r5, [r12, lr]\n" MERGE("r7", "r11", "24") \
    "ldr r1, [r0, #8]!\n" \
    "add r12, r12, lr, lsl #1\n" \
    "cmp r0, r3\n" \
    "str r6, [r12]\n" \
    "str r7, [r12, lr]\n" \
    "bne 2b\n"
#define EVEN_PAIR(frame, channel) WORD(frame, "0")
#define THIRD_SAMPLE(frame, channel) SAMPLE(channel, "2")
#define OUTPUT_OFFSET(frames) "[r0, #4]"
#define SAVED_GROUP(frames) WORD(frames, "3")
#define NEIGHBOURS(sums, bias, frame1, frame2, frame3, frames, finish) \
    GROUP(sums, bias, "1", EVEN_PAIR, OUTPUT_OFFSET, frame1, frame2, frame3, frames, finish) WRITE
#define APART(sums, bias, frame1, frame2, frame3, frames) \
    "str r0, " WORD(frames, "3") "\n" \
    GROUP(sums, bias, "0", THIRD_SAMPLE, SAVED_GROUP, frame1, frame2, frame3, frames, RELU) \
    "mov r0, r12\n" \
    "ldr r12, [r12, #4]\n" WRITE

#define SERIES(name, unpack, frames, group) \
    FUNCTION(name, \
        "push {r4-r11, lr}\n" \
        "sub sp, #" frames " + 20\n" \
        "ldm r0, {r0, r4, r5, r6, r7}\n" \
        "mov r3, sp\n" \
        "str r4, [sp, #" frames " + 8]\n" \
        "mov r2, r7\n" \
        "str r5, [sp, #" frames "]\n" \
        "str r6, [sp, #" frames " + 4]\n" \
        "1:\n" unpack "add r12, sp, #" frames "\n" \
        "cmp r3, r12\n" \
        "bne 1b\n" \
        "ldr r1, [r0]\n" \
        "2:\n" group "add sp, #" frames " + 20\n" \
        "pop {r4-r11, pc}\n")

#define FRAMES_3 "4", "32", "64", "96", "128"
#define FRAMES_5 "6", "40", "80", "120", "160"
#define FRAMES_7 "8", "48", "96", "144", "192"
#define FRAMES_9 "10", "56", "112", "168", "224"
#define FRAMES_11 "12", "64", "128", "192", "256"
#define FRAMES_13 "14", "72", "144", "216", "288"
#define FRAMES_15 "16", "80", "160", "240", "320"
#define FRAMES_17 "18", "88", "176", "264", "352"
#define FRAMES_19 "20", "96", "192", "288", "384"
#define FRAMES_21 "22", "104", "208", "312", "416"
#define FRAMES_23 "24", "112", "224", "336", "448"
#define FRAMES_25 "26", "120", "240", "360", "480"
#define FRAMES_27 "28", "128", "256", "384", "512"
#define FRAMES_29 "30", "136", "272", "408", "544"
#define FRAMES_31 "32", "144", "288", "432", "576"
#define FRAMES_33 "34", "152", "304", "456", "608"
/* Expands its arguments before the macro takes them apart. */
#define APPLY(macro, ...) macro(__VA_ARGS__)
SERIES("ppgnet_series_relu_3", UNPACK_3, "128", APPLY(NEIGHBOURS, SUMS_3, FRAMES_3, RELU));
SERIES("ppgnet_series_relu_5", UNPACK_5, "160", APPLY(NEIGHBOURS, SUMS_5, FRAMES_5, RELU));
SERIES("ppgnet_series_relu_7", UNPACK_7, "192", APPLY(NEIGHBOURS, SUMS_7, FRAMES_7, RELU));
SERIES("ppgnet_series_relu_9", UNPACK_9, "224", APPLY(NEIGHBOURS, SUMS_9, FRAMES_9, RELU));
SERIES("ppgnet_series_relu_11", UNPACK_11, "256", APPLY(NEIGHBOURS, SUMS_11, FRAMES_11, RELU));
SERIES("ppgnet_series_relu_13", UNPACK_13, "288", APPLY(NEIGHBOURS, SUMS_13, FRAMES_13, RELU));
SERIES("ppgnet_series_relu_15", UNPACK_15, "320", APPLY(NEIGHBOURS, SUMS_15, FRAMES_15, RELU));
SERIES("ppgnet_series_relu_17", UNPACK_17, "352", APPLY(NEIGHBOURS, SUMS_17, FRAMES_17, RELU));
SERIES("ppgnet_series_relu_19", UNPACK_19, "384", APPLY(NEIGHBOURS, SUMS_19, FRAMES_19, RELU));
SERIES("ppgnet_series_relu_21", UNPACK_21, "416", APPLY(NEIGHBOURS, SUMS_21, FRAMES_21, RELU));
SERIES("ppgnet_series_relu_23", UNPACK_23, "448", APPLY(NEIGHBOURS, SUMS_23, FRAMES_23, RELU));
SERIES("ppgnet_series_relu_25", UNPACK_25, "480", APPLY(NEIGHBOURS, SUMS_25, FRAMES_25, RELU));
SERIES("ppgnet_series_relu_27", UNPACK_27, "512", APPLY(NEIGHBOURS, SUMS_27, FRAMES_27, RELU));
SERIES("ppgnet_series_relu_29", UNPACK_29, "544", APPLY(NEIGHBOURS, SUMS_29, FRAMES_29, RELU));
SERIES("ppgnet_series_relu_31", UNPACK_31, "576", APPLY(NEIGHBOURS, SUMS_31, FRAMES_31, RELU));
SERIES("ppgnet_series_relu_33", UNPACK_33, "608", APPLY(NEIGHBOURS, SUMS_33, FRAMES_33, RELU));
SERIES("ppgnet_series_linear_3", UNPACK_3, "128", APPLY(NEIGHBOURS, SUMS_3, FRAMES_3, LINEAR));
SERIES("ppgnet_series_linear_5", UNPACK_5, "160", APPLY(NEIGHBOURS, SUMS_5, FRAMES_5, LINEAR));
SERIES("ppgnet_series_linear_7", UNPACK_7, "192", APPLY(NEIGHBOURS, SUMS_7, FRAMES_7, LINEAR));
SERIES("ppgnet_series_linear_9", UNPACK_9, "224", APPLY(NEIGHBOURS, SUMS_9, FRAMES_9, LINEAR));
SERIES("ppgnet_series_linear_11", UNPACK_11, "256", APPLY(NEIGHBOURS, SUMS_11, FRAMES_11, LINEAR));
SERIES("ppgnet_series_linear_13", UNPACK_13, "288", APPLY(NEIGHBOURS, SUMS_13, FRAMES_13, LINEAR));
SERIES("ppgnet_series_linear_15", UNPACK_15, "320", APPLY(NEIGHBOURS, SUMS_15, FRAMES_15, LINEAR));
SERIES("ppgnet_series_linear_17", UNPACK_17, "352", APPLY(NEIGHBOURS, SUMS_17, FRAMES_17, LINEAR));
SERIES("ppgnet_series_linear_19", UNPACK_19, "384", APPLY(NEIGHBOURS, SUMS_19, FRAMES_19, LINEAR));
SERIES("ppgnet_series_linear_21", UNPACK_21, "416", APPLY(NEIGHBOURS, SUMS_21, FRAMES_21, LINEAR));
SERIES("ppgnet_series_linear_23", UNPACK_23, "448", APPLY(NEIGHBOURS, SUMS_23, FRAMES_23, LINEAR));
SERIES("ppgnet_series_linear_25", UNPACK_25, "480", APPLY(NEIGHBOURS, SUMS_25, FRAMES_25, LINEAR));
SERIES("ppgnet_series_linear_27", UNPACK_27, "512", APPLY(NEIGHBOURS, SUMS_27, FRAMES_27, LINEAR));
SERIES("ppgnet_series_linear_29", UNPACK_29, "544", APPLY(NEIGHBOURS, SUMS_29, FRAMES_29, LINEAR));
SERIES("ppgnet_series_linear_31", UNPACK_31, "576", APPLY(NEIGHBOURS, SUMS_31, FRAMES_31, LINEAR));
SERIES("ppgnet_series_linear_33", UNPACK_33, "608", APPLY(NEIGHBOURS, SUMS_33, FRAMES_33, LINEAR));
SERIES("ppgnet_series_spaced_3", UNPACK_3, "128", APPLY(APART, SUMS_SPACED_3, FRAMES_3));
SERIES("ppgnet_series_spaced_5", UNPACK_5, "160", APPLY(APART, SUMS_SPACED_5, FRAMES_5));
SERIES("ppgnet_series_spaced_7", UNPACK_7, "192", APPLY(APART, SUMS_SPACED_7, FRAMES_7));
SERIES("ppgnet_series_spaced_9", UNPACK_9, "224", APPLY(APART, SUMS_SPACED_9, FRAMES_9));

#else

void ppgnet_gather_series(const ppgnet_series_run *run, const ppgnet_series_run *end, const int8_t *input,
    uint32_t apart, ppgnet_word *scratch)
{
    for (; run != end; run++) {
        const int8_t *first = input + run->input;
        ppgnet_word *to = PPGNET_AT(scratch, run->to);
        for (uint32_t pair = run->pairs; pair != 0; pair--, first += 2 * apart)
            to = ppgnet_pair_up(*(const ppgnet_word *)first, *(const ppgnet_word *)(first + apart), to);
    }
}

#define SERIES(name) \
    void name(const ppgnet_series_job *job, const ppgnet_word *record) \
    { \
        ppgnet_series_any(job, record); \
    }
SERIES(ppgnet_series_relu_3)
SERIES(ppgnet_series_relu_5)
SERIES(ppgnet_series_relu_7)
SERIES(ppgnet_series_relu_9)
SERIES(ppgnet_series_relu_11)
SERIES(ppgnet_series_relu_13)
SERIES(ppgnet_series_relu_15)
SERIES(ppgnet_series_relu_17)
SERIES(ppgnet_series_relu_19)
SERIES(ppgnet_series_relu_21)
SERIES(ppgnet_series_relu_23)
SERIES(ppgnet_series_relu_25)
SERIES(ppgnet_series_relu_27)
SERIES(ppgnet_series_relu_29)
SERIES(ppgnet_series_relu_31)
SERIES(ppgnet_series_relu_33)
SERIES(ppgnet_series_linear_3)
SERIES(ppgnet_series_linear_5)
SERIES(ppgnet_series_linear_7)
SERIES(ppgnet_series_linear_9)
SERIES(ppgnet_series_linear_11)
SERIES(ppgnet_series_linear_13)
SERIES(ppgnet_series_linear_15)
SERIES(ppgnet_series_linear_17)
SERIES(ppgnet_series_linear_19)
SERIES(ppgnet_series_linear_21)
SERIES(ppgnet_series_linear_23)
SERIES(ppgnet_series_linear_25)
SERIES(ppgnet_series_linear_27)
SERIES(ppgnet_series_linear_29)
SERIES(ppgnet_series_linear_31)
SERIES(ppgnet_series_linear_33)
SERIES(ppgnet_series_spaced_3)
SERIES(ppgnet_series_spaced_5)
SERIES(ppgnet_series_spaced_7)
SERIES(ppgnet_series_spaced_9)

#endif

/* What the assembly computes, for any number of taps and outputs one or two samples apart. */
void ppgnet_series_any(const ppgnet_series_job *job, const ppgnet_word *record)
{
    uint32_t pairs = job->kernel / 2 + 1, quads = job->kernel / 4 + 1;
    for (uint32_t channel = 0; channel < 4; channel++, record += 2 + quads) {
        const ppgnet_word *weights = record + 2;
        int32_t bias = (int32_t)record[0], multiplier = (int32_t)record[1];
        int32_t shift = (int32_t)(weights[quads - 1] >> 24), offset = job->rounding * (1 << shift);
        for (const ppgnet_series_group *group = job->groups; group != job->groups_end; group++) {
            int8_t *out = job->output + group->output + channel;
            for (uint32_t number = 0; number < 4; number++, out += job->step) {
                const ppgnet_word *samples = PPGNET_AT(job->scratch, group->samples) + 4 * (number * job->spacing / 2) + channel;
                uint32_t is_odd = number * job->spacing & 1, before = 0;
                int32_t sum = 0;
                for (uint32_t pair = 0; pair < pairs; pair++, samples += 4) {
                    uint32_t word = weights[pair / 2];
                    uint32_t even = pair & 1 ? ppgnet_sxtb16_odd(word) : ppgnet_sxtb16(word);
                    if (2 * pair + 1 >= job->kernel)
                        even &= 2 * pair < job->kernel ? 0xffffu : 0u; /* the shift lies there, or nothing */
                    uint32_t odd = before >> 16 | even << 16;
                    sum = ppgnet_smlad(is_odd ? odd : even, *samples, sum);
                    before = even;
                }
                *out = (int8_t)ppgnet_requantize(bias + 2 * sum, multiplier, shift, offset);
            }
        }
    }
}
