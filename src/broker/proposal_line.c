/* SPDX-License-Identifier: Apache-2.0
 *
 * proposal_line.c -- see proposal_line.h.  A loop, not a recursion: a proposal may be refused at
 * once.
 *
 * Locality: shard 0 of the controller leader.
 */
#include "broker/proposal_line.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/controller.h"

static void advance(struct proposal_line *line);

static void committed(void *context, enum wire_error error, const struct cluster_change *change)
{
    struct proposal_line *line = context;
    require(line->is_away);
    line->is_away = false;
    line->is_confirmed = true;
    line->committed(line, line->position++, error, change);
    if (!line->is_running) {
        advance(line);
    }
}

static void lead_confirmed(void *context, bool is_leader)
{
    struct proposal_line *line = context;
    for (uint32_t i = 0; i < line->count && !is_leader; i++) {
        line->committed(line, i, WIRE_ERROR_NOT_CONTROLLER, NULL);
    }
    proposal_line_release(line);
}

static void advance(struct proposal_line *line)
{
    require(!line->is_running);
    line->is_running = true;
    while (!line->is_away && line->position < line->count) {
        struct wire_writer record;
        wire_writer_init(&record, 256);
        if (line->plan(line, line->position, &record)) {
            line->is_away = true;
            controller_propose(line->shard, &record, committed, line);
        } else {
            wire_writer_free(&record);
            line->position++;
        }
    }
    line->is_running = false;
    if (line->is_away) {
        return;
    }
    if (line->is_confirmed || !proposal_line_is_here(line->shard)) {
        proposal_line_release(line); /* in the latter case its owner has refused all of it */
    } else {
        controller_confirm_lead(line->shard, lead_confirmed, line);
    }
}

void proposal_line_run(struct proposal_line *line)
{
    require(line->position == 0 && line->held == 0);
    line->held = 1;
    advance(line);
}

void proposal_line_hold(struct proposal_line *line)
{
    require(line->held > 0);
    line->held++;
}

void proposal_line_release(struct proposal_line *line)
{
    require(line->held > 0);
    line->held--;
    if (line->held == 0) {
        line->ended(line);
    }
}

bool proposal_line_is_here(const struct broker_shard *shard)
{
    return shard->controller != NULL && controller_is_leader(shard);
}
