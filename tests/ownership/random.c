/* A random sequence of file calls under changing credentials; every inode is shown after each. The same
 * seed must give the same text for real root and under remainroot. Arguments: directory, seed, steps.
 *
 * Only what the emulation decides is drawn: directories stay open to all and files are not opened again,
 * so that no call depends on the permission bits. */
#include "raw.h"
#include <linux/capability.h>

#include "../draw.h"

static const char *const paths[] = { "a", "b", "d", "e", "d/a", "d/b", "d/s", "e/a", "e/s", "e/s/a" };
static const unsigned ids[] = { 0, 1000, 1001, 50, 60, 65534, 70000, KEEP };
static const unsigned bits[] = { 0, 0644, 02755, 04755, 06755, 02745, 06600, 02777, 0755 };

static void show_all(void) {
	for (unsigned i = 0; i < COUNT(paths); i++) {
		struct statx x;
		if (SYS(statx, AT_FDCWD, paths[i], AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &x)) continue;
		text("  "), text(paths[i]), put(' ');
		decimal(x.stx_uid), put(':'), decimal(x.stx_gid), put(' '), number(x.stx_mode, 8), put(' ');
		number(x.stx_rdev_major, 16), put(':'), number(x.stx_rdev_minor, 16), put('\n');
	}
}

/* Changes the effective capabilities to the permitted ones but for `without`. */
static void capabilities(unsigned without) {
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	SYS(capget, &header, data);
	data[0].effective = data[0].permitted & ~without;
	data[1].effective = data[1].permitted;
	step("capset", SYS(capset, &header, data));
}

static void root_again(void) {
	WIDE(setresuid, 0, 0, 0), WIDE(setresgid, 0, 0, 0), WIDE(setgroups, 0, 0);
	capabilities(0);
}

/* Root without some capabilities, or a user. */
static void become(void) {
	unsigned group = PICK(ids), uid = PICK(ids), gid = PICK(ids);
	root_again();
	text("become "), decimal((int)uid), put(' '), decimal((int)gid), put(' '), decimal((int)group), put('\n');
	step("setgroups", WIDE(setgroups, group == KEEP ? 0 : 1, &group));
	if (draw(4) == 0) {
		WIDE(setfsgid, gid), WIDE(setfsuid, uid);
		return;
	}
	step("setresgid", WIDE(setresgid, KEEP, gid, KEEP));
	step("setresuid", WIDE(setresuid, KEEP, uid, KEEP));
	if (uid == 0 || uid == KEEP) {
		unsigned without = draw(32) & (1 << CAP_CHOWN | 1 << CAP_FOWNER | 1 << CAP_FSETID);
		capabilities(without | (draw(4) ? 0 : 1u << CAP_MKNOD));
	}
}

static void give(const char *path) {
	unsigned uid = PICK(ids), gid = PICK(ids);
	text("chown "), text(path), put(' '), decimal((int)uid), put(' '), decimal((int)gid), put('\n');
	int by_path = SYS(open, path, O_PATH | O_NOFOLLOW);
	switch (draw(4)) {
	case 0: step("chown", WIDE(chown, path, uid, gid)); break;
	case 1: step("lchown", WIDE(lchown, path, uid, gid)); break;
	case 2: step("fchownat", SYS(fchownat, AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW)); break;
	default: step("by descriptor", SYS(fchownat, by_path, "", uid, gid, AT_EMPTY_PATH));
	}
	shut(by_path);
}

static void set_mode(const char *path) {
	struct statx x;
	unsigned mode = PICK(bits);
	if (SYS(statx, AT_FDCWD, path, 0, STATX_BASIC_STATS, &x) == 0 && (x.stx_mode & 0170000) == 0040000) mode |= 0777;
	text("chmod "), text(path), put(' '), number(mode, 8), put('\n');
	switch (draw(3)) {
	case 0: step("chmod", SYS(chmod, path, mode)); break;
	case 1: step("fchmodat", SYS(fchmodat, AT_FDCWD, path, mode)); break;
	default: step("nofollow", SYS(fchmodat2, AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW));
	}
}

static void make(const char *path) {
	static const unsigned types[] = { 0010000, 0020000, 0060000, 0100000, 0140000, 0 };
	unsigned mode = PICK(bits), type = PICK(types);
	text("make "), text(path), put(' '), number(type | mode, 8), put('\n');
	switch (draw(6)) {
	case 0: shut(step("open", SYS(open, path, O_CREAT | O_EXCL | O_RDWR, mode))); break;
	case 1: step("mkdir", SYS(mkdir, path, 0777)); break;
	case 2: step("mkdirat", SYS(mkdirat, AT_FDCWD, path, 01777 & ~01000)); break;
	case 3: step("symlink", SYS(symlink, draw(2) ? "a" : "nowhere", path)); break;
	case 4: step("mknodat", SYS(mknodat, AT_FDCWD, path, type | mode, draw(0x200000))); break;
	default: step("mknod", SYS(mknod, path, type | mode, draw(0x400)));
	}
}

static void move(const char *from) {
	const char *to = PICK(paths);
	text("move "), text(from), put(' '), text(to), put('\n');
	switch (draw(4)) {
	case 0: step("rename", SYS(rename, from, to)); break;
	case 1: step("unlink", SYS(unlink, from)); break;
	case 2: step("rmdir", SYS(rmdir, from)); break;
	default:
		root_again(); /* who may link to what is the business of a sysctl */
		step("link", SYS(link, from, to));
	}
}

static unsigned value(const char *digits) {
	unsigned result = 0;
	while (*digits) result = result * 10 + (*digits++ - '0');
	return result;
}

static void run(int argc, char **argv) {
	if (argc != 4 || SYS(chdir, argv[1])) SYS(exit_group, 2);
	seed(value(argv[2]));
	SYS(umask, 0);
	if (SYS(mkdir, argv[2], 0777) || SYS(chdir, argv[2])) SYS(exit_group, 3);
	SYS(mkdir, "d", 0777), SYS(mkdir, "e", 02777);
	for (unsigned steps = value(argv[3]); steps--;) {
		unsigned kind = draw(12);
		const char *path = PICK(paths);
		if (kind == 0) become();
		else if (kind < 5) give(path);
		else if (kind < 8) set_mode(path);
		else if (kind < 11) make(path);
		else move(path);
		show_all();
	}
}
