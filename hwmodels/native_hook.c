/* Counts executed block edges for the emulator: a callback for Unicorn's block hook that costs a few
   nanoseconds. Built at run time for this machine; the table belongs to the caller. */
#include <stdint.h>

typedef struct {
    uint32_t source, target, size, used;
    uint64_t count;
} edge;

typedef struct {
    edge *table;
    int (*stop)(void *);
    uint64_t blocks, block_limit;
    uint32_t mask, filled, previous, failed;
} profile;

enum { FULL = 1, ENDLESS = 2, UNEQUAL = 3 };

void ppgnet_count_block(void *engine, uint64_t address, uint32_t size, void *user)
{
    profile *p = user;
    uint32_t target = (uint32_t)address;
    uint32_t slot = (p->previous * 2654435761u ^ target * 2246822519u) >> 7;
    for (;; slot++) {
        edge *e = &p->table[slot & p->mask];
        if (!e->used) {
            if (++p->filled > p->mask / 2) {
                p->failed = FULL;
                p->stop(engine);
                return;
            }
            e->source = p->previous;
            e->target = target;
            e->size = size;
            e->used = 1;
        }
        if (e->source == p->previous && e->target == target) {
            if (e->size != size) {
                p->failed = UNEQUAL;
                p->stop(engine);
            }
            e->count++;
            break;
        }
    }
    p->previous = target;
    if (++p->blocks > p->block_limit) {
        p->failed = ENDLESS;
        p->stop(engine);
    }
}
