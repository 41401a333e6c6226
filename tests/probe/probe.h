/* What the parts of the probe share. */
#ifndef PROBE_H
#define PROBE_H

#include "calls.h"
#include "text.h"

enum { TASKS = 8, LINE = 1024, CHANNEL_FD = 200, SCRIPT = 1 << 23, DEADLINE = 10 };

/* Whose turn it is with a task: written by both sides, waited for by futex. */
enum turn { UNBORN, COMMAND, REPLY };

/* One task, as the conductor and the task itself see it. The layout is the same in every ABI. */
struct slot {
	volatile u32 turn;
	volatile u32 birth;	/* its thread id when it was born, once it has shown itself */
	volatile u32 tid;	/* its thread id now */
	volatile u32 tgid;
	volatile u32 execed;	/* the reply comes from a new program */
	char line[LINE];
	struct text text;
};

/* The memory file that conductor and tasks share; it outlives exec. */
struct channel {
	u32 entry;
	u32 brief;
	u32 silent;
	struct slot slots[TASKS];
};

extern struct channel *channel;

/* Waits until a word is `value`, or is not: 0, or -1 after `seconds`. */
int wait_until(volatile u32 *word, int equal, u32 value, long seconds);
/* Sets a word and wakes who waits for it. */
void announce(volatile u32 *word, u32 value);

/* Performs one step and writes its result and the task's state. */
void perform(struct slot *me, const char *step);
/* Writes the calling task's state. */
void observe(struct text *text);
/* Makes a call of the table by the present way of entry; `*absent` if it has no number there. */
long call(enum call which, int *absent, long a, long b, long c, long d, long e);
void put_result(struct text *text, long result);
void put_sparse(struct text *text, const u8 *at, const u8 *before, u32 size);

/* operand.c: the arguments of a step. */
void operands_reset(void);
long operand(const char **s, int *bad);
/* Writes what the kernel changed in the memory that the operands named. */
void put_changes(struct text *text);

/* files.c */
void put_list(struct text *text, const char *at, int fates);
void set_hosts(const char *paths);
long put_stat(struct text *text, const char *what, const char *how);
long put_xattrs(struct text *text, const char *path);
long put_entries(struct text *text, const char *path);
int is_permitted(const char *list);

void *memset(void *at, int value, unsigned long size);
void *memcpy(void *to, const void *from, unsigned long size);

#endif
