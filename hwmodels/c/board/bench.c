/* Runs every call of calls.c and prints key, cycles (fewest of several warm calls) and first_cycles. */
#include "bench.h"

/* Calls between two readings: 1 for a counter of cycles, more for a coarser one. */
#ifndef BENCH_CALLS_PER_READING
#define BENCH_CALLS_PER_READING 1
#endif
#define READINGS 4
#ifndef BENCH_CYCLES_PER_TICK
#define BENCH_CYCLES_PER_TICK 1
#endif

static void nothing(const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)parameters, (void)input, (void)second, (void)output, (void)scratch;
}

static void print(const char *text)
{
    while (*text != '\0')
        board_putchar(*text++);
}

static void print_number(uint32_t value, char end)
{
    char text[12];
    char *at = text + sizeof text;
    *--at = '\0';
    *--at = end;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(at);
}

/* Where a call's pieces lie: in flash, or copied to RAM where they hold pointers or the device wants them. */
static const void *place_constants(const bench_call *call)
{
    const uint32_t *places[8];
    for (uint32_t index = 0; index < call->piece_count; index++) {
        const bench_piece *piece = &call->pieces[index];
        places[index] = call->words + piece->first;
        if (BENCH_CONSTANTS_IN_RAM || piece->has_pointers) {
            places[index] = bench_constants + piece->first;
            for (uint32_t word = piece->first; word < piece->first + piece->count; word++)
                bench_constants[word] = call->words[word];
        }
    }
    for (uint32_t index = 0; index < call->slot_count; index++)
        bench_constants[call->slots[index].word] = (uint32_t)(uintptr_t)places[call->slots[index].piece];
    return places[0];
}

static __attribute__((noinline)) uint32_t reading(
    const bench_call *call, ppgnet_kernel *kernel, const void *parameters, uint32_t calls)
{
    int8_t *arena = (int8_t *)bench_arena;
    uint32_t start = board_counter();
    for (uint32_t index = 0; index < calls; index++)
        kernel(parameters, arena + call->first, arena + call->second, arena + call->output, arena + call->scratch);
    return board_counter() - start;
}

static void measure(const bench_call *call)
{
    const void *parameters = place_constants(call);
    uint32_t noise = 1;
    for (uint32_t word = 0; word < call->arena_bytes / 4; word++)
        bench_arena[word] = noise = noise * 1664525u + 1013904223u;
    reading(call, nothing, parameters, 1);
    uint32_t idle = reading(call, nothing, parameters, BENCH_CALLS_PER_READING);
    uint32_t single = reading(call, nothing, parameters, 1);
    uint32_t first = reading(call, call->kernel, parameters, 1) - single;
    uint32_t fewest = UINT32_MAX;
    for (uint32_t turn = 0; turn < READINGS; turn++) {
        uint32_t taken = reading(call, call->kernel, parameters, BENCH_CALLS_PER_READING) - idle;
        fewest = taken < fewest ? taken : fewest;
    }
    print(call->key);
    board_putchar(',');
    print_number(fewest * BENCH_CYCLES_PER_TICK / BENCH_CALLS_PER_READING, ',');
    print_number(first * BENCH_CYCLES_PER_TICK, '\n');
}

void bench_main(void)
{
    board_init();
    board_start_counter();
    print(bench_header);
    for (uint32_t index = 0; index < bench_call_count; index++)
        measure(&bench_calls[index]);
    print("# end ");
    print_number(bench_call_count, '\n');
    board_finished();
    for (;;) {
    }
}
