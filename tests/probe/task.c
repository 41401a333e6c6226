/* A task: performs its steps, and shows its whole state after each. */
#include "probe.h"

static const struct { const char *name; int x86_64, i386; } calls[] = {
#define X(name, x86_64, i386) { #name, x86_64, i386 },
	CALLS(X)
#undef X
};

static const struct { int value; const char *name; } errnos[] = {
	{ 1, "EPERM" }, { 2, "ENOENT" }, { 3, "ESRCH" }, { 4, "EINTR" }, { 9, "EBADF" },
	{ 11, "EAGAIN" }, { 12, "ENOMEM" }, { 13, "EACCES" }, { 14, "EFAULT" }, { 17, "EEXIST" },
	{ 18, "EXDEV" }, { 20, "ENOTDIR" }, { 21, "EISDIR" }, { 22, "EINVAL" }, { 26, "ETXTBSY" },
	{ 28, "ENOSPC" }, { 34, "ERANGE" }, { 36, "ENAMETOOLONG" }, { 38, "ENOSYS" }, { 39, "ENOTEMPTY" },
	{ 40, "ELOOP" }, { 61, "ENODATA" }, { 95, "EOPNOTSUPP" },
};

static u8 stacks[TASKS][1 << 14] __attribute__((aligned(16)));
static u32 ids[65536];

enum { CAPS = 41, SIGCHLD = 17 };

void put_result(struct text *text, long result)
{
	put(text, " = ");
	put_signed(text, result);
	for (u32 i = 0; i < sizeof errnos / sizeof *errnos; i++)
		if (result == -errnos[i].value) {
			put(text, " ");
			put(text, errnos[i].name);
		}
}

long call(enum call which, int *absent, long a, long b, long c, long d, long e)
{
	int compat = NR(channel->entry == INT80, 1);
	int nr = compat ? calls[which].i386 : calls[which].x86_64;
	*absent = nr < 0;
	return nr < 0 ? 0 : enter(channel->entry, nr, a, b, c, d, e);
}

/* A getter without arguments, or with pointers to three ids. */
static void put_ids(struct text *text, const char *label, enum call one, enum call two, enum call three, u32 mask)
{
	u32 id[3] = { 0, 0, 0 };
	static u32 below[3]; /* where 32-bit pointers reach */
	int absent;
	put(text, label);
	put_unsigned(text, (u32)call(one, &absent, 0, 0, 0, 0, 0));
	put(text, " ");
	put_unsigned(text, (u32)call(two, &absent, 0, 0, 0, 0, 0));
	memset(below, 0, sizeof below);
	long result = call(three, &absent, (long)&below[0], (long)&below[1], (long)&below[2], 0, 0);
	memcpy(id, below, sizeof id);
	for (int i = 0; i < 3; i++) {
		put(text, i ? "," : " (");
		put_unsigned(text, id[i] & mask);
	}
	put(text, ")");
	if (result)
		put_result(text, result);
}

static void put_groups(struct text *text, enum call getter, int width)
{
	int absent;
	long count = call(getter, &absent, 0, 0, 0, 0, 0);
	long result = call(getter, &absent, count, (long)ids, 0, 0, 0);
	put(text, " groups");
	if (result != count)
		put_result(text, result);
	if (count > 16) {
		u32 hash = 2166136261u;
		for (long i = 0; i < count * width; i++)
			hash = (hash ^ ((u8 *)ids)[i]) * 16777619u;
		put(text, " ");
		put_signed(text, count);
		put(text, "#");
		put_hex(text, hash, 8);
		return;
	}
	for (long i = 0; i < count; i++) {
		put(text, i ? "," : " ");
		put_unsigned(text, width == 2 ? ((u16 *)ids)[i] : ids[i]);
	}
}

static long prctl(long option, long a, long b, long c, long d)
{
	int absent;
	return call(CALL_prctl, &absent, option, a, b, c, d);
}

/* A set that is asked for capability by capability. */
static void put_asked(struct text *text, const char *label, int ambient)
{
	static const u8 some[] = { 0, 6, 7, 8, 21, 40 };
	u64 set = 0;
	put(text, label);
	for (u32 i = 0; i < (channel->brief ? sizeof some : CAPS); i++) {
		u32 cap = channel->brief ? some[i] : i;
		long has = ambient ? prctl(47, 1, cap, 0, 0) : prctl(23, cap, 0, 0, 0);
		if (has == 1)
			set |= 1ull << cap;
		else if (has)
			put_result(text, has);
	}
	put_set(text, set);
}

static void put_capget(struct text *text)
{
	static u32 header[2], data[6];
	int absent;
	header[0] = 0x20080522;
	header[1] = 0;
	memset(data, 0, sizeof data);
	long result = call(CALL_capget, &absent, (long)header, (long)data, 0, 0, 0);
	if (result)
		put_result(text, result);
	for (int i = 0; i < 3; i++) {
		put(text, i == 0 ? " E " : i == 1 ? " P " : " I ");
		put_set(text, (u64)data[3 + i] << 32 | data[i]);
	}
}

void observe(struct text *text)
{
	int absent, compat = NR(channel->entry == INT80, 1);
	if (channel->silent)
		return;
	put_ids(text, "  uid ", CALL_getuid, CALL_geteuid, CALL_getresuid, ~0u);
	put(text, " fs ");
	put_unsigned(text, (u32)call(CALL_setfsuid, &absent, -1, 0, 0, 0, 0));
	put_ids(text, " gid ", CALL_getgid, CALL_getegid, CALL_getresgid, ~0u);
	put(text, " fs ");
	put_unsigned(text, (u32)call(CALL_setfsgid, &absent, -1, 0, 0, 0, 0));
	put_groups(text, CALL_getgroups, 4);
	put_capget(text);
	put_asked(text, " B ", 0);
	put_asked(text, " A ", 1);
	put(text, " bits ");
	put_signed(text, prctl(27, 0, 0, 0, 0));
	put(text, " keep ");
	put_signed(text, prctl(7, 0, 0, 0, 0));
	put(text, " nnp ");
	put_signed(text, prctl(39, 0, 0, 0, 0));
	put(text, "\n");
	if (!compat || channel->brief)
		return;
	put_ids(text, "  16: uid ", CALL_getuid16, CALL_geteuid16, CALL_getresuid16, 0xffff);
	put(text, " fs ");
	put_unsigned(text, (u32)call(CALL_setfsuid16, &absent, 0xffff, 0, 0, 0, 0));
	put_ids(text, " gid ", CALL_getgid16, CALL_getegid16, CALL_getresgid16, 0xffff);
	put(text, " fs ");
	put_unsigned(text, (u32)call(CALL_setfsgid16, &absent, 0xffff, 0, 0, 0, 0));
	put_groups(text, CALL_getgroups16, 2);
	put(text, "\n");
}

/* Makes task `index` in the way the step names it. */
static long spawn(const char *how, u32 index)
{
	enum { VM = 0x100, VFORK = 0x4000, PARENT = 0x8000, THREAD = 0x50f00, UNKNOWN = -38 };
	static u64 clone3[11];
	u64 *stack = (u64 *)stacks[index] + sizeof stacks[index] / 8 - 2;
	int compat = NR(channel->entry == INT80, 0);
	int three = how[length_of(how) - 1] == '3', fork = after(how, "fork") || after(how, "sibling");
	long flags = after(how, "thread") ? THREAD : after(how, "vfork") ? VM | VFORK | SIGCHLD
		: after(how, "sibling") ? PARENT | SIGCHLD : SIGCHLD;
	*(unsigned long *)stack = index;
	memset(clone3, 0, sizeof clone3);
	clone3[0] = flags & ~0xffl;
	clone3[4] = flags & 0xff;
	clone3[5] = fork ? 0 : (unsigned long)stacks[index];
	clone3[6] = fork ? 0 : (unsigned long)((u8 *)stack - stacks[index]);
	for (;; three = 0) {
		long nr = three ? 435 : compat ? 120 : NR(56, 120);
		long first = three ? (long)clone3 : flags, second = three ? (long)sizeof clone3 : fork ? 0 : (long)stack;
		if (same(how, "fork"))
			nr = NR(compat ? 2 : 57, 2);
		long result = fork ? enter(channel->entry, nr, first, second, 0, 0, 0)
			: compat ? start_task_int80(nr, first, second) : start_task(nr, first, second);
		if (fork && !result)
			task_main(index);
		if (!three || result != UNKNOWN) /* as C libraries do where a filter knows no clone3 */
			return result;
	}
}

static void put_spawned(struct text *text, long result, u32 index)
{
	struct slot *born = &channel->slots[index];
	if (result > 0)
		wait_until(&born->birth, 0, 0, DEADLINE); /* it uses memory that may be shared */
	if (result > 0 && (u32)result == born->birth) {
		put(text, " = t");
		put_unsigned(text, index);
	} else
		put_result(text, result);
}

/* Executes a program of this probe, which goes on as the same task. */
static long exec(const char *path, u32 index)
{
	static char name[LINE], digit[2];
	static u64 arguments[4], none;
	int compat = NR(channel->entry == INT80, 1);
	const char *words[] = { "probe", "--task", digit };
	digit[0] = '0' + index;
	memcpy(name, path, length_of(path) + 1);
	for (u32 i = 0; i < 3; i++)
		if (compat)
			((u32 *)arguments)[i] = (unsigned long)words[i];
		else
			arguments[i] = (unsigned long)words[i];
	if (compat)
		((u32 *)arguments)[3] = 0;
	return enter(channel->entry, compat ? 11 : 59, (long)name, (long)arguments, (long)&none, 0, 0);
}

/* Copies a file to a new one of mode 0755. */
static long copy(const char *from, const char *to)
{
	static u8 block[1 << 16];
	long in = sys_open(from, 0, 0), out = sys_open(to, 0301, 0755), n = in < 0 ? in : out;
	while (n >= 0 && (n = sys_read(in, block, sizeof block)) > 0)
		n = sys_write(out, block, n);
	sys_close(in);
	sys_close(out);
	return n;
}

/* Writes a script of mode 0755. */
static long script(const char *path, const char *interpreter)
{
	static struct text line;
	line.length = 0;
	put(&line, "#!");
	put(&line, interpreter);
	put(&line, "\n");
	long fd = sys_open(path, 0301, 0755), n = fd < 0 ? fd : sys_write(fd, line.at, line.length);
	sys_close(fd);
	return n;
}

/* Makes the call; what it opens becomes descriptor `fd`, if that is not 0. */
static void perform_call(struct slot *me, enum call which, const char *s, long fd)
{
	long a[5] = { 0 };
	int bad = 0, absent;
	operands_reset();
	for (u32 i = 0; *s && i < 5 && !bad; i++) {
		a[i] = operand(&s, &bad);
		while (*s == ' ')
			s++;
	}
	if (bad || *s) {
		put(&me->text, " bad operand");
		return;
	}
	long result = call(which, &absent, a[0], a[1], a[2], a[3], a[4]);
	if (fd && !absent && result >= 0 && result != fd) {
		sys_dup2(result, fd);
		sys_close(result);
		result = 0;
	}
	if (absent)
		put(&me->text, " absent");
	else
		put_result(&me->text, result);
	put_changes(&me->text);
}

/* Performs a step, whose first word is not yet known to be more than a word before it. */
static void perform_step(struct slot *me, const char *step)
{
	static char words[3][LINE];
	u32 index = me - channel->slots;
	long fd = 0;
	int bad = 0;
	if (after(step, "may ")) {
		step = word(step + 4, words[0], LINE);
		if (!is_permitted(words[0])) {
			put(&me->text, " left out");
			return;
		}
	}
	const char *number_of = after(step, "into ");
	if (number_of) {
		fd = number(&number_of, &bad);
		step = number_of + (*number_of == ' ');
	}
	const char *rest = step;
	for (u32 n = 0; n < 3; n++)
		rest = word(rest, words[n], LINE);
	u32 other = after(words[1], "t") ? words[1][1] - '0' : TASKS;
	if (same(words[0], "look"))
		;
	else if (same(words[0], "exit"))
		announce(&me->turn, REPLY), sys_exit(0);
	else if (same(words[0], "exit_group"))
		announce(&me->turn, REPLY), sys_exit_group(0);
	else if (same(words[0], "exec"))
		put_result(&me->text, exec(words[1], index));
	else if (same(words[0], "copy"))
		put_result(&me->text, copy(words[1], words[2]));
	else if (same(words[0], "script"))
		put_result(&me->text, script(words[1], words[2]));
	else if (same(words[0], "stat"))
		put_result(&me->text, put_stat(&me->text, words[1], words[2]));
	else if (same(words[0], "xattrs"))
		put_result(&me->text, put_xattrs(&me->text, words[1]));
	else if (same(words[0], "entries"))
		put_result(&me->text, put_entries(&me->text, words[1]));
	else if (other < TASKS)
		put_spawned(&me->text, spawn(words[0], other), other);
	else {
		u32 which = 0;
		while (which < CALL_COUNT && !same(calls[which].name, words[0]))
			which++;
		if (which == CALL_COUNT)
			put(&me->text, " bad step");
		else {
			rest = step + length_of(words[0]);
			perform_call(me, which, rest + (*rest == ' '), fd);
		}
	}
}

void perform(struct slot *me, const char *step)
{
	perform_step(me, step);
	put(&me->text, "\n");
	observe(&me->text);
}

void task_main(long index)
{
	struct slot *me = &channel->slots[index];
	me->tid = sys_gettid();
	me->tgid = sys_getpid();
	if (!me->birth) {
		put(&me->text, "\n");
		observe(&me->text);
		announce(&me->birth, me->tid);
	}
	announce(&me->turn, REPLY);
	while (!wait_until(&me->turn, 1, COMMAND, 120)) {
		me->text.length = 0;
		perform(me, me->line);
		announce(&me->turn, REPLY);
	}
	sys_exit_group(3);
	for (;;)
		;
}
