/* SPDX-License-Identifier: Apache-2.0
 *
 * loop_turn.h -- one turn of a loop, for tests that look at what it has done.
 */
#ifndef TESTS_BROKER_LOOP_TURN_H
#define TESTS_BROKER_LOOP_TURN_H

struct io_loop;

void loop_turn(struct io_loop *loop);

#endif
