/* Counts executed block edges for the emulator, and missed lines of caches where it has some: callbacks for
   Unicorn's hooks that cost a few nanoseconds. Built at run time for this machine; tables belong to the caller. */
#include <stdint.h>

typedef struct {
    uint32_t source, target, size, used;
    uint64_t count;
} edge;

/* Least recently used of `ways` lines leaves its set. A tag is the line's number plus one, 0 an empty way. */
typedef struct {
    uint32_t *tags;
    uint64_t *used;
    uint64_t clock, misses;
    uint32_t sets, ways, line_bytes, reserved;
} cache;

typedef struct {
    edge *table;
    int (*stop)(void *);
    cache *instructions;
    uint64_t blocks, block_limit;
    uint32_t mask, filled, previous, failed;
} profile;

enum { FULL = 1, ENDLESS = 2, UNEQUAL = 3 };

static void touch(cache *c, uint32_t first, uint32_t last)
{
    for (uint32_t line = first / c->line_bytes; line <= last / c->line_bytes; line++) {
        uint32_t start = line % c->sets * c->ways, oldest = start, way = start;
        for (; way < start + c->ways && c->tags[way] != line + 1; way++)
            if (c->used[way] < c->used[oldest])
                oldest = way;
        if (way == start + c->ways) {
            way = oldest;
            c->tags[way] = line + 1;
            c->misses++;
        }
        c->used[way] = ++c->clock;
    }
}

void ppgnet_count_read(void *engine, int kind, uint64_t address, int size, int64_t value, void *user)
{
    (void)engine;
    (void)kind;
    (void)value;
    touch(user, (uint32_t)address, (uint32_t)address + (uint32_t)size - 1);
}

void ppgnet_count_block(void *engine, uint64_t address, uint32_t size, void *user)
{
    profile *p = user;
    uint32_t target = (uint32_t)address;
    if (p->instructions)
        touch(p->instructions, target, target + size - 1);
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
