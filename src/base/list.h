/* SPDX-License-Identifier: Apache-2.0
 *
 * list.h -- intrusive doubly linked list.  A node is in at most one list; a node that is in none
 * points to itself, so removing it twice is harmless and list_is_linked() tells.
 *
 * Locality: the owner of the list.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next;
    struct list_node *previous;
};

struct list {
    struct list_node head;
};

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void list_node_init(struct list_node *node)
{
    node->next = node;
    node->previous = node;
}

static inline void list_init(struct list *list)
{
    list_node_init(&list->head);
}

static inline bool list_is_linked(const struct list_node *node)
{
    return node->next != node;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline void list_remove(struct list_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_node_init(node);
}

static inline void list_append(struct list *list, struct list_node *node)
{
    node->next = &list->head;
    node->previous = list->head.previous;
    list->head.previous->next = node;
    list->head.previous = node;
}

/* The first node, or NULL when the list is empty. */
static inline struct list_node *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.next;
}

/* Removes and returns the first node, or NULL. */
static inline struct list_node *list_take_first(struct list *list)
{
    struct list_node *node = list_first(list);
    if (node != NULL) {
        list_remove(node);
    }
    return node;
}

/* Walks the list; the current node may be removed inside the loop. */
#define list_for_each(list, node)                                                                  \
    for (struct list_node *node = (list)->head.next, *node##_next = node->next;                    \
         node != &(list)->head; node = node##_next, node##_next = node->next)

#endif
