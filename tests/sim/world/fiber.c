/* SPDX-License-Identifier: Apache-2.0
 *
 * fiber.c -- see fiber.h.  Stacks are kept for the next fiber, of this world or a later one: a long
 * run starts thousands.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE /* its longjmp() refuses to leave a stack for another one */
#include "fiber.h"

#include "base/assert.h"
#include "own_memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

/* As large as the shards' own in src/io, and a page in front that nobody may touch. */
#define FIBER_STACK_BYTES (2u * 1024 * 1024)
#define FIBER_GUARD_BYTES 4096u

/* Where a stack was left.  The context is for its beginning; from then on the jump is taken, which
 * asks the kernel for nothing (a context's switch sets the signal mask, twice a change of stacks).
 * The sanitizers know of contexts only. */
struct machine {
    ucontext_t context;
    jmp_buf jump;
    bool has_jump;
};

struct sim_fiber {
    struct list_node node; /* of its process */
    struct sim_fiber *next_spare;
    struct sim_event wake;
    struct sim_process *process;
    void (*run)(void *context);
    void *context;
    struct machine machine;
    uint8_t *stack; /* FIBER_GUARD_BYTES + FIBER_STACK_BYTES */
    bool is_parked;
    bool is_over;
};

static struct machine scheduler;

/* Those that nobody runs on. */
static struct sim_fiber *spare_fibers;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static void machine_switch(struct machine *from, struct machine *to)
{
    int result = swapcontext(&from->context, &to->context);
    ensure(result == 0);
}
#else
static void machine_switch(struct machine *from, struct machine *to)
{
    from->has_jump = true;
    if (_setjmp(from->jump) != 0) {
        return;
    }
    if (to->has_jump) {
        _longjmp(to->jump, 1);
    }
    setcontext(&to->context);
    unreachable_code();
}
#endif

#if defined(__SANITIZE_ADDRESS__)
static const void *scheduler_stack;
static size_t scheduler_stack_bytes;
#endif

static void fiber_enter(struct sim_fiber *fiber)
{
#if defined(__SANITIZE_ADDRESS__)
    void *fake_stack = NULL;
    __sanitizer_start_switch_fiber(&fake_stack, fiber->stack + FIBER_GUARD_BYTES,
                                   FIBER_STACK_BYTES);
#endif
    machine_switch(&scheduler, &fiber->machine);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
}

static void fiber_give_way(struct sim_fiber *fiber)
{
#if defined(__SANITIZE_ADDRESS__)
    void *fake_stack = NULL;
    __sanitizer_start_switch_fiber(fiber->is_over ? NULL : &fake_stack, scheduler_stack,
                                   scheduler_stack_bytes);
#endif
    machine_switch(&fiber->machine, &scheduler);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
}

static void fiber_main(void)
{
    struct sim_fiber *fiber = the_world->fiber;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(NULL, &scheduler_stack, &scheduler_stack_bytes);
#endif
    fiber->run(fiber->context);
    fiber_leave();
}

static void fiber_wake(struct sim_event *event)
{
    struct sim_fiber *fiber = container_of(event, struct sim_fiber, wake);
    struct sim_world *world = the_world;
    struct sim_process *process = fiber->process;
    world->fiber = fiber;
    world->process = process;
    world->host = process->host;
    if (fiber == process->main) {
        world_stir(process->host);
    }
    trace_set_shard(-1);
    fiber_enter(fiber);
    world->fiber = NULL;
    world->process = NULL;
    world->host = NULL;
    if (process->is_ending) {
        process_destroy(process);
    }
}

static struct sim_fiber *fiber_allocate(void)
{
    struct sim_fiber *fiber = own_allocate(sizeof *fiber);
    fiber->stack = mmap(NULL, FIBER_GUARD_BYTES + FIBER_STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ensure(fiber->stack != MAP_FAILED);
    int result = mprotect(fiber->stack, FIBER_GUARD_BYTES, PROT_NONE);
    ensure(result == 0);
    return fiber;
}

/* Apart, because to the compiler getcontext() may return twice. */
static __attribute__((noinline)) void machine_init(struct machine *machine, uint8_t *stack)
{
    ucontext_t *context = &machine->context;
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = FIBER_STACK_BYTES;
    context->uc_link = NULL;
    makecontext(context, fiber_main, 0);
    machine->has_jump = false;
}

struct sim_fiber *fiber_new(struct sim_process *process, void (*run)(void *context), void *context)
{
    struct sim_fiber *fiber = spare_fibers;
    if (fiber != NULL) {
        spare_fibers = fiber->next_spare;
    } else {
        fiber = fiber_allocate();
    }
    fiber->process = process;
    fiber->run = run;
    fiber->context = context;
    fiber->is_parked = false;
    fiber->is_over = false;
    fiber->wake =
        (struct sim_event){.kind = SIM_EVENT_FIBER, .process = process, .run = fiber_wake};
    machine_init(&fiber->machine, fiber->stack + FIBER_GUARD_BYTES);
    list_append(&process->fibers, &fiber->node);
    sim_event_schedule(&the_world->events, &fiber->wake, the_world->now_ns);
    return fiber;
}

void fiber_sleep(uint64_t duration_ns)
{
    struct sim_fiber *fiber = the_world->fiber;
    require(fiber != NULL);
    sim_event_schedule(&the_world->events, &fiber->wake, the_world->now_ns + duration_ns);
    fiber_give_way(fiber);
}

void fiber_park(void)
{
    struct sim_fiber *fiber = the_world->fiber;
    require(fiber != NULL);
    fiber->is_parked = true;
    fiber_give_way(fiber);
}

void fiber_unpark(struct sim_fiber *fiber)
{
    if (fiber->is_parked) {
        fiber->is_parked = false;
        sim_event_schedule(&the_world->events, &fiber->wake, the_world->now_ns);
    }
}

_Noreturn void fiber_leave(void)
{
    struct sim_fiber *fiber = the_world->fiber;
    require(fiber != NULL);
    fiber->is_over = true;
    fiber_give_way(fiber);
    unreachable_code();
}

bool fiber_is_over(const struct sim_fiber *fiber)
{
    return fiber->is_over;
}

void fiber_release_all(struct sim_process *process)
{
    struct list_node *node = NULL;
    while ((node = list_take_first(&process->fibers)) != NULL) {
        struct sim_fiber *fiber = container_of(node, struct sim_fiber, node);
        sim_event_cancel(&the_world->events, &fiber->wake);
        fiber->next_spare = spare_fibers;
        spare_fibers = fiber;
    }
}

void fiber_resume_all(struct sim_process *process)
{
    list_for_each(&process->fibers, node)
    {
        struct sim_fiber *fiber = container_of(node, struct sim_fiber, node);
        if (sim_event_is_scheduled(&fiber->wake) && fiber->wake.at_ns >= SIM_NEVER_NS) {
            sim_event_schedule(&the_world->events, &fiber->wake, the_world->now_ns);
        }
    }
}
