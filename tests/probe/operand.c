/* The arguments of a step: numbers, and pointers to memory good and bad.
 *
 *   7 -1 0xff V3 CAP_AMBIENT   a number, or the name of one
 *   @t2                the thread id of task 2
 *   null void high ro  address 0; one without memory; one in the kernel's half; one read-only
 *   out big            64 bytes, or 256 KiB, that the call may fill
 *   u32[1,2] u16[1,2]  an array; seq32(n), seq16(n): n different ids in no order
 *   hdr(version,pid)   struct __user_cap_header_struct
 *   cap1(e,p,i) cap3(e,p,i)   struct __user_cap_data_struct, one or two of them
 *   acl(tag,perm,id,...)      the value of a POSIX ACL
 *   times(a,b,...)     an array of the ABI's longs: timespecs, timevals, a utimbuf
 *   path:NAME          a string
 *
 * Memory may be followed by a place: `^` ends it exactly at the last byte of a page with none behind
 * it, `^3` three bytes beyond, `!` puts it on a read-only page. Of `out` and everything that
 * has contents, what the call changed is shown. */
#include "probe.h"

enum { PAGE = 4096, BIG = 1 << 18, WATCHED = 64, WATCHES = 8 };

static u8 pool[BIG + 2 * PAGE] __attribute__((aligned(PAGE)));
static u8 big[BIG] __attribute__((aligned(PAGE)));
static u8 cliff[BIG + 2 * PAGE] __attribute__((aligned(PAGE)));
static u8 frozen[PAGE] __attribute__((aligned(PAGE)));
static u8 before[WATCHES][WATCHED];
static struct { u8 *at; u32 size; } watches[WATCHES];
static u32 used, watching, big_used;

enum { CLIFF = BIG + PAGE };

void operands_reset(void)
{
	used = watching = big_used = 0;
	sys_mprotect(cliff + CLIFF, PAGE, 0);
	sys_mprotect(frozen, PAGE, 3);
}

static void watch(u8 *at, u32 size)
{
	if (watching == WATCHES || size > WATCHED)
		return;
	memcpy(before[watching], at, size);
	watches[watching].at = at;
	watches[watching++].size = size;
}

/* Puts the last `size` bytes of the pool where the script wants them. */
static long place(const char **s, u32 start, u32 size, int *bad)
{
	u8 *from = pool + start;
	if (**s == '^') {
		++*s;
		u32 beyond = **s >= '0' && **s <= '9' ? number(s, bad) : 0;
		u32 kept = beyond < size ? size - beyond : 0;
		u8 *to = cliff + CLIFF - kept;
		memcpy(to, from, kept);
		watch(to, kept);
		return (long)to;
	}
	if (**s == '!') {
		++*s;
		memcpy(frozen, from, size < PAGE ? size : PAGE);
		sys_mprotect(frozen, PAGE, 1);
		return (long)frozen;
	}
	watch(from, size);
	return (long)from;
}

static void put_bytes(u64 value, u32 size)
{
	for (; size && used < BIG + PAGE; size--, value >>= 8)
		pool[used++] = value;
}

static const struct { const char *name; u64 value; } names[] = {
	{ "V1", 0x19980330 }, { "V2", 0x20071026 }, { "V3", 0x20080522 },
	{ "GET_KEEPCAPS", 7 }, { "SET_KEEPCAPS", 8 }, { "CAPBSET_READ", 23 }, { "CAPBSET_DROP", 24 },
	{ "GET_SECUREBITS", 27 }, { "SET_SECUREBITS", 28 }, { "SET_NO_NEW_PRIVS", 38 },
	{ "GET_NO_NEW_PRIVS", 39 }, { "CAP_AMBIENT", 47 }, { "IS_SET", 1 }, { "RAISE", 2 },
	{ "LOWER", 3 }, { "CLEAR_ALL", 4 }, { "NOW", 0x3fffffff }, { "OMIT", 0x3ffffffe },
};

static u64 value(const char **s, int *bad)
{
	const char *task = after(*s, "@t");
	if (task && *task >= '0' && *task < '0' + TASKS)
		return *s = task + 1, channel->slots[*task - '0'].tid;
	for (u32 i = 0; i < sizeof names / sizeof *names; i++) {
		const char *rest = after(*s, names[i].name);
		if (rest)
			return *s = rest, names[i].value;
	}
	return number(s, bad);
}

/* `(a,b,...)` or `[a,b,...]`: up to `limit` numbers; how many there were. */
static u32 list(const char **s, u64 *values, u32 limit, int *bad)
{
	char close = **s == '[' ? ']' : ')';
	u32 n = 0;
	if (**s != '[' && **s != '(')
		*bad = 1;
	if (**s)
		++*s;
	while (**s != close && !*bad && n < limit) {
		values[n++] = value(s, bad);
		if (**s == ',')
			++*s;
	}
	if (**s == close)
		++*s;
	else
		*bad = 1;
	return n;
}

/* Contents of memory, appended to the pool: 0 if `*s` names none. */
static int contents(const char **s, int *bad)
{
	u64 v[32] = { 0 };
	const char *rest;
	u32 n, width = 0;
	if ((rest = after(*s, "u32")) || (rest = after(*s, "u16"))) {
		width = (*s)[1] == '3' ? 4 : 2;
		n = list(&rest, v, 32, bad);
		for (u32 i = 0; i < n; i++)
			put_bytes(v[i], width);
	} else if ((rest = after(*s, "seq32")) || (rest = after(*s, "seq16"))) {
		width = (*s)[3] == '3' ? 4 : 2;
		list(&rest, v, 1, bad);
		for (u32 i = 0; i < v[0]; i++)
			put_bytes((i * 7919u + 5) % 60013u + 1, width);
	} else if ((rest = after(*s, "hdr"))) {
		list(&rest, v, 2, bad);
		put_bytes(v[0], 4);
		put_bytes(v[1], 4);
	} else if ((rest = after(*s, "cap1")) || (rest = after(*s, "cap3"))) {
		int two = (*s)[3] == '3';
		list(&rest, v, 3, bad);
		for (int half = 0; half <= two; half++)
			for (int i = 0; i < 3; i++)
				put_bytes(v[i] >> (32 * half), 4);
	} else if ((rest = after(*s, "acl"))) {
		n = list(&rest, v, 32, bad);
		put_bytes(2, 4);
		for (u32 i = 0; i < n; i++)
			put_bytes(v[i], i % 3 == 2 ? 4 : 2);
	} else if ((rest = after(*s, "times"))) {
		n = list(&rest, v, 4, bad);
		for (u32 i = 0; i < n; i++)
			put_bytes(v[i], NR(channel->entry == INT80 ? 4 : 8, 4));
	} else if ((rest = after(*s, "path:"))) {
		while (*rest && *rest != ' ')
			put_bytes(*rest++, 1);
		put_bytes(0, 1);
	} else if ((rest = after(*s, "out"))) {
		for (u32 i = 0; i < WATCHED; i++)
			put_bytes(0xa5, 1);
	} else
		return 0;
	*s = rest;
	return 1;
}

long operand(const char **s, int *bad)
{
	const char *rest;
	if ((rest = after(*s, "null")))
		return *s = rest, 0;
	if ((rest = after(*s, "void")))
		return *s = rest, (long)cliff + CLIFF;
	if ((rest = after(*s, "high")))
		return *s = rest, -PAGE;
	if ((rest = after(*s, "ro")))
		return *s = rest, sys_mprotect(frozen, PAGE, 1), (long)frozen;
	if ((rest = after(*s, "big")))
		return *s = rest, big_used = 1, memset(big, 0xa5, BIG), (long)big;
	used = (used + 7) & ~7u;
	u32 start = used;
	if (contents(s, bad))
		return place(s, start, used - start, bad);
	return value(s, bad);
}

void put_changes(struct text *text)
{
	for (u32 i = 0; i < watching; i++)
		put_sparse(text, watches[i].at, before[i], watches[i].size);
	if (big_used) {
		u32 hash = 2166136261u, last = 0;
		for (u32 i = 0; i < BIG; i++) {
			hash = (hash ^ big[i]) * 16777619u;
			if (big[i] != 0xa5)
				last = i + 1;
		}
		put(text, " big:");
		put_unsigned(text, last);
		put(text, ":");
		put_hex(text, hash, 8);
	}
}

void put_sparse(struct text *text, const u8 *at, const u8 *old, u32 size)
{
	u32 first = 0, end = size;
	while (first < size && at[first] == old[first])
		first++;
	while (end > first && at[end - 1] == old[end - 1])
		end--;
	if (first == end)
		return;
	put(text, " +");
	put_unsigned(text, first);
	put(text, ":");
	for (; first < end; first++)
		put_hex(text, at[first], 2);
}
