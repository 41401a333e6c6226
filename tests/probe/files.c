/* What conductor and tasks see of files: the attributes of names, and what became of their inodes. */
#include "probe.h"

enum { NAMES = 24, PATH = 256, VALUE = 1 << 10, HERE = -100, NOFOLLOW = 0x100, EMPTY = 0x1000, BASIC_AND_BIRTH = 0xfff };
enum { TYPE = 0170000, CHARACTER = 0020000, DIRECTORY = 0040000, BLOCK = 0060000, LINK = 0120000 };

struct moment { u64 seconds; u32 nanoseconds, padding; };
struct statx {
	u32 mask, block;
	u64 flags;
	u32 links, uid, gid;
	u16 mode, padding;
	u64 inode, size, blocks, flags_mask;
	struct moment accessed, born, changed, modified;
	u32 special_major, special_minor, device_major, device_minor;
	u64 more[14];
};

/* Names as they were listed last; not there where the mask is 0. */
static struct statx names[NAMES], before[NAMES];
static struct { char at[256]; } shown[NAMES];
/* Inodes that are the host's: the kernel changes their times for nobody else, and links them for few. */
static struct statx hosts[2];

static int same_moment(const struct moment *a, const struct moment *b)
{
	return a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

static int same_inode(const struct statx *a, const struct statx *b)
{
	return a->mask && b->mask && a->inode == b->inode && same_moment(&a->born, &b->born);
}

static int is_hosts(const struct statx *x)
{
	return same_inode(&hosts[0], x) || same_inode(&hosts[1], x);
}

static void put_pair(struct text *text, const char *label, u64 first, u64 second)
{
	put(text, label);
	put_unsigned(text, first);
	put(text, ":");
	put_unsigned(text, second);
}

static void put_mode(struct text *text, u32 mode)
{
	put(text, " ");
	for (int shift = 15; shift >= 0; shift -= 3)
		put_hex(text, mode >> shift & 7, 1);
}

/* A time that no clock gave. */
static void put_past(struct text *text, const char *label, const struct moment *moment)
{
	if (moment->seconds < 1000000000)
		put_pair(text, label, moment->seconds, moment->nanoseconds);
}

static void put_attributes(struct text *text, const struct statx *x)
{
	put_mode(text, x->mode);
	put_pair(text, " ", x->uid, x->gid);
	put_pair(text, " links ", x->links, (x->mode & TYPE) == DIRECTORY ? 0 : x->size);
	if (x->special_major || x->special_minor)
		put_pair(text, " device ", x->special_major, x->special_minor);
	if (x->flags & 0x30)
		put(text, x->flags & 0x10 ? " immutable" : " append-only");
	put_past(text, " atime ", &x->accessed);
	put_past(text, " mtime ", &x->modified);
}

/* What became of the inode since the last list, by the names it had. */
static void put_fate(struct text *text, u32 index, int timed)
{
	const struct statx *now = &names[index], *old = &before[index];
	for (u32 i = 0; i < NAMES && !same_inode(old, now); i++)
		old = &before[i];
	if (!same_inode(old, now)) {
		put(text, " new");
		return;
	}
	if (old != &before[index])
		put_pair(text, " from ", old - before, 0);
	if (!timed || is_hosts(now))
		return;
	if (!same_moment(&old->changed, &now->changed))
		put(text, " changed");
	if (!same_moment(&old->modified, &now->modified))
		put(text, " modified");
}

/* `list PATH ...`: the names that show something else than in the last list, or, where `fates` are asked
 * for, are another inode or, where it is more than 1, were changed. No path at all forgets the last. */
void put_list(struct text *text, const char *at, int fates)
{
	memcpy(before, names, sizeof names);
	memset(names, 0, sizeof names);
	if (!*at)
		memset(shown, 0, sizeof shown);
	for (u32 i = 0; i < NAMES && *at; i++) {
		static struct text line, fate;
		static char path[PATH];
		line.length = fate.length = 0;
		at = word(at, path, sizeof path);
		if (sys_statx(HERE, path, NOFOLLOW, BASIC_AND_BIRTH, &names[i]))
			names[i].mask = 0;
		else
			put_attributes(&line, &names[i]);
		for (u32 other = 0; other < i && names[i].mask && fates; other++)
			if (same_inode(&names[other], &names[i])) {
				put_pair(&line, " same ", other, 0);
				break;
			}
		if (names[i].mask && fates)
			put_fate(&fate, i, fates > 1);
		line.at[line.length] = fate.at[fate.length] = 0;
		if (same(line.at, shown[i].at) && !fate.length)
			continue;
		memcpy(shown[i].at, line.at, line.length + 1);
		put(text, "  ");
		put(text, path);
		put(text, names[i].mask ? line.at : " gone");
		put(text, fate.at);
		put(text, "\n");
	}
}

/* `hosts PATH PATH`: these two inodes are the host's. */
void set_hosts(const char *paths)
{
	static char path[PATH];
	memset(hosts, 0, sizeof hosts);
	for (u32 i = 0; i < 2; i++) {
		paths = word(paths, path, sizeof path);
		sys_statx(HERE, path, NOFOLLOW, BASIC_AND_BIRTH, &hosts[i]);
	}
}

/* What a structure of stat(2), or of i386's stat64(2), says. */
static void read_stat(const u8 *at, int compat, struct statx *x)
{
	u64 device = *(u32 *)(at + (compat ? 32 : 40));
	x->mode = *(u32 *)(at + (compat ? 16 : 24));
	x->links = *(u32 *)(at + (compat ? 20 : 16));
	x->uid = *(u32 *)(at + (compat ? 24 : 28));
	x->gid = *(u32 *)(at + (compat ? 28 : 32));
	x->size = *(u32 *)(at + (compat ? 44 : 48));
	x->accessed.seconds = *(u32 *)(at + (compat ? 64 : 72));
	x->accessed.nanoseconds = *(u32 *)(at + (compat ? 68 : 80));
	x->modified.seconds = *(u32 *)(at + (compat ? 72 : 88));
	x->modified.nanoseconds = *(u32 *)(at + (compat ? 76 : 96));
	x->special_major = device >> 8 & 0xfff;
	x->special_minor = (device & 0xff) | (device >> 12 & 0xfff00);
	x->flags = 0;
}

/* `stat PATH`, `stat PATH stat|lstat`, `stat FD fstat|statat|statx`: by statx(2) of a path if nothing is
 * said, by that call else; 0 or an errno. */
long put_stat(struct text *text, const char *what, const char *how)
{
	static const struct { const char *name; int x86_64, i386; } forms[] = {
		{ "stat", 4, 195 }, { "lstat", 6, 196 }, { "fstat", 5, 197 }, { "statat", 262, 300 }, { "statx", 332, 383 },
	};
	static struct statx x;
	static char path[PATH], none[1];
	static u8 at[256];
	int compat = NR(channel->entry == INT80, 1), bad = 0, form = 0;
	long result, fd = HERE;
	if (!*how) {
		result = sys_statx(HERE, what, NOFOLLOW, BASIC_AND_BIRTH, &x);
	} else {
		while (form < 4 && !same(forms[form].name, how))
			form++;
		word(what, path, sizeof path);
		if (form >= 2)
			fd = number(&what, &bad);
		long first = form < 2 ? (long)path : fd, nr = compat ? forms[form].i386 : forms[form].x86_64;
		if (form < 3)
			result = enter(channel->entry, nr, first, (long)at, 0, 0, 0);
		else if (form == 3)
			result = enter(channel->entry, nr, first, (long)none, (long)at, EMPTY, 0);
		else
			result = enter(channel->entry, nr, first, (long)none, EMPTY, BASIC_AND_BIRTH, (long)&x);
		if (!result && form < 4)
			read_stat(at, compat, &x);
	}
	if (!result)
		put_attributes(text, &x);
	return result;
}

/* `xattrs PATH`: every extended attribute of an inode, in the order of their names. */
long put_xattrs(struct text *text, const char *path)
{
	static char list[1 << 12];
	static u8 value[VALUE];
	const char *last = "";
	long length = sys_llistxattr(path, list, sizeof list);
	for (;;) {
		const char *next = 0;
		for (const char *name = list; length > 0 && name < list + length; name += length_of(name) + 1)
			if (compare(name, last) > 0 && (!next || compare(name, next) < 0))
				next = name;
		if (!next)
			return length;
		long size = sys_lgetxattr(path, next, value, sizeof value);
		put(text, "\n    ");
		put(text, next);
		put_result(text, size);
		put(text, " ");
		for (long i = 0; i < size; i++)
			put_hex(text, value[i], 2);
		last = next;
	}
}

/* `entries PATH`: what a directory says it holds, in the order of names. */
long put_entries(struct text *text, const char *path)
{
	struct entry { u64 inode, next; u16 length; u8 type; char name[]; };
	static u8 list[1 << 12] __attribute__((aligned(8)));
	const char *last = "";
	long fd = sys_open(path, 0200000 /* O_DIRECTORY */, 0), length = fd < 0 ? fd : sys_getdents64(fd, list, sizeof list);
	sys_close(fd);
	for (;;) {
		const struct entry *next = 0, *entry;
		for (long at = 0; at < length; at += entry->length) {
			entry = (const struct entry *)(list + at);
			if (compare(entry->name, last) > 0 && (!next || compare(entry->name, next->name) < 0))
				next = entry;
		}
		if (!next)
			return length < 0 ? length : 0;
		put(text, " ");
		put(text, next->name);
		put(text, "/");
		put_unsigned(text, next->type);
		last = next->name;
	}
}

/* Whether everybody may do everything with it: then no call hangs on who may search, read or write. */
static int is_open(const char *path, u32 bits)
{
	static struct statx x;
	static u8 value[VALUE];
	if (sys_statx(HERE, path, 0, BASIC_AND_BIRTH, &x))
		return 1; /* whatever is wrong, it is so for everybody */
	if (sys_lgetxattr(path, "system.posix_acl_access", value, sizeof value) > 0)
		return 0;
	return (x.mode & bits) == bits;
}

/* The same of every directory on the way, the last included, and symbolic links followed. */
static int is_way_open(const char *path, int links)
{
	static struct statx x;
	char part[PATH], target[PATH];
	u32 start = 0;
	for (u32 i = 0; path[i] && i < sizeof part - 1; i++) {
		part[i] = path[i];
		part[i + 1] = 0;
		if (path[i] == '/') {
			start = i + 1;
			if (!is_open(part, 0777))
				return 0;
		}
	}
	if (sys_statx(HERE, path, NOFOLLOW, BASIC_AND_BIRTH, &x))
		return 1;
	if (!links || (x.mode & TYPE) != LINK)
		return (x.mode & TYPE) != DIRECTORY || is_open(path, 0777);
	long length = sys_readlink(path, target, sizeof target - 1);
	for (long i = 0; i < length && start < sizeof part - 1; i++)
		part[start++] = target[i];
	part[start] = 0;
	return is_way_open(part, links - 1);
}

/* One item of a list: w: the way to the path is open to all, or the task is above that; f: the file is so
 * too, and no device; k: and has no set-id bit; o: it is not the host's; F, K, O: the same of a descriptor;
 * E: the task may link what a descriptor names. */
static int is_item_permitted(char what, const char *path, u32 caps)
{
	enum { DAC_OVERRIDE = 1 << 1, DAC_READ_SEARCH = 1 << 2 };
	static struct statx x;
	int bad = 0, above = caps & DAC_OVERRIDE, open = what >= 'A' && what <= 'Z';
	const char *digits = path;
	if (what == 'E')
		return caps & DAC_READ_SEARCH;
	long none = open ? sys_statx(number(&digits, &bad), "", EMPTY, BASIC_AND_BIRTH, &x)
			 : sys_statx(HERE, path, what == 'o' ? NOFOLLOW : 0, BASIC_AND_BIRTH, &x);
	u32 type = none ? 0 : x.mode & TYPE, bits = type == DIRECTORY ? 0777 : 0666;
	if (!none && (what == 'k' || what == 'K') && x.mode & 06000)
		return 0;
	if (!none && (what == 'o' || what == 'O') && is_hosts(&x))
		return 0;
	if (!none && what == 'F')
		if (type == CHARACTER || type == BLOCK || !(above || (x.mode & bits) == bits))
			return 0;
	if (!none && (what == 'f' || what == 'k'))
		if (type == CHARACTER || type == BLOCK || !(above || is_open(path, bits)))
			return 0;
	return above || open || (is_open(".", 0777) && is_way_open(path, 3));
}

/* `may w:PATH,f:PATH ...`: whether what comes next is decided by nothing but who owns what. */
int is_permitted(const char *list)
{
	static u32 header[2] = { 0x20080522 }, data[6];
	static char path[PATH];
	sys_capget(header, data);
	while (list[0] && list[1] == ':') {
		u32 length = 0;
		char what = *list;
		for (list += 2; *list && *list != ',' && length < sizeof path - 1; list++)
			path[length++] = *list;
		path[length] = 0;
		list += *list == ',';
		if (!is_item_permitted(what, path, data[0]))
			return 0;
	}
	return 1;
}
