/* Extended attributes, step by step; the same must come out for real root and under remainroot.
 * Argument: a directory to work in, with "hosts", "hostdir", "hostlink" and "hostfifo" of root's. */
#include "raw.h"

#ifndef __NR_setxattrat
#define __NR_setxattrat 463
#define __NR_getxattrat 464
#define __NR_listxattrat 465
#define __NR_removexattrat 466
#endif

#define CREATE 1
#define REPLACE 2

struct arguments {
	__u64 value;
	__u32 size, flags;
};

static char value[1 << 17], big[1 << 17], long_name[4][300];

static unsigned length_of(const char *string) {
	unsigned length = 0;
	while (string[length]) length++;
	return length;
}

static void bytes(const char *from, word count) {
	for (word at = 0; at < count && at < 80; at++) {
		put("0123456789abcdef"[(from[at] >> 4) & 15]);
		put("0123456789abcdef"[from[at] & 15]);
	}
}

static int compared(const char *one, const char *other) {
	while (*one && *one == *other) one++, other++;
	return (unsigned char)*one - (unsigned char)*other;
}

/* A list of names in an order of its own: a filesystem has any. */
static void names(const char *list, word length) {
	const char *last = "";
	for (;;) {
		const char *next = 0;
		for (word at = 0; at < length; at += length_of(list + at) + 1)
			if (compared(list + at, last) > 0 && (!next || compared(list + at, next) < 0)) next = list + at;
		if (!next) break;
		put(' ');
		text(next);
		last = next;
	}
}

static void got(const char *how, word result) {
	text("  ");
	text(how);
	put(' ');
	decimal(result);
	put(' ');
	if (result > 0) bytes(value, result);
	put('\n');
}

static void listed(const char *how, word result) {
	text("  ");
	text(how);
	put(' ');
	decimal(result);
	if (result > 0) names(value, result);
	put('\n');
}

static void done(const char *how, word result) {
	text("  ");
	text(how);
	put(' ');
	decimal(result);
	put('\n');
}

static word set(const char *path, const char *name, const void *from, unsigned size, int flags) {
	return SYS(lsetxattr, path, name, from, size, flags);
}

static void read_back(const char *path, const char *name) {
	got("get", SYS(lgetxattr, path, name, value, sizeof value));
	done("size", SYS(lgetxattr, path, name, 0, 0));
	done("small", SYS(lgetxattr, path, name, value, 3));
	done("fault", SYS(lgetxattr, path, name, 16, 400));
	listed("list", SYS(llistxattr, path, value, sizeof value));
	done("list size", SYS(llistxattr, path, 0, 0));
	done("list small", SYS(llistxattr, path, value, 5));
}

struct sample {
	const char *name;
	const void *value;
	unsigned size;
};

static const __u32 caps2[] = { 0x02000001, 1 << 13, 0, 0, 0 };
static const __u32 caps3[] = { 0x03000001, 1 << 13, 0, 0, 0, 0 };
static const __u32 caps3_of_another[] = { 0x03000000, 1 << 13, 1 << 7, 1, 0, 1000 };
static const __u32 caps3_of_nobody[] = { 0x03000000, 1 << 13, 0, 0, 0, -1 };
static const __u32 caps1[] = { 0x01000001, 1 << 13, 0 };
static const __u32 caps5[] = { 0x05000001, 1 << 13, 0, 0, 0 };

struct entry {
	__u16 tag, permissions;
	__u32 id;
};
#define NONE ((__u32)-1)
#define LIST(n) struct { __u32 version; struct entry entries[n]; }
static const LIST(6) named = { 2, { { 1, 6, NONE }, { 2, 4, 1000 }, { 4, 4, NONE }, { 8, 6, 4 }, { 16, 6, NONE }, { 32, 0, NONE } } };
static const LIST(6) of_root = { 2, { { 1, 6, NONE }, { 2, 4, 0 }, { 4, 4, NONE }, { 8, 6, 0 }, { 16, 6, NONE }, { 32, 0, NONE } } };
static const LIST(5) unmasked = { 2, { { 1, 6, NONE }, { 2, 4, 1000 }, { 4, 4, NONE }, { 8, 6, 4 }, { 32, 0, NONE } } };
static const LIST(6) disordered = { 2, { { 2, 4, 1000 }, { 1, 6, NONE }, { 4, 4, NONE }, { 8, 6, 4 }, { 16, 6, NONE }, { 32, 0, NONE } } };
static const LIST(6) of_nobody = { 2, { { 1, 6, NONE }, { 2, 4, NONE }, { 4, 4, NONE }, { 8, 6, 4 }, { 16, 6, NONE }, { 32, 0, NONE } } };
static const LIST(6) strange_tag = { 2, { { 1, 6, NONE }, { 3, 4, 1000 }, { 4, 4, NONE }, { 8, 6, 4 }, { 16, 6, NONE }, { 32, 0, NONE } } };
static const LIST(6) permissive = { 2, { { 1, 6, NONE }, { 2, 9, 1000 }, { 4, 4, NONE }, { 8, 6, 4 }, { 16, 6, NONE }, { 32, 0, NONE } } };
static const LIST(3) minimal = { 2, { { 1, 7, NONE }, { 4, 5, NONE }, { 32, 4, NONE } } };
static const LIST(4) masked = { 2, { { 1, 7, NONE }, { 4, 5, NONE }, { 16, 1, NONE }, { 32, 4, NONE } } };
static const LIST(6) version = { 3, { { 1, 6, NONE }, { 2, 4, 1000 }, { 4, 4, NONE }, { 8, 6, 4 }, { 16, 6, NONE }, { 32, 0, NONE } } };
static const LIST(3) ungrouped = { 2, { { 1, 7, NONE }, { 8, 5, 7 }, { 32, 4, NONE } } };

static const struct sample samples[] = {
	{ "security.capability", caps2, sizeof caps2 },
	{ "security.capability", caps3, sizeof caps3 },
	{ "security.capability", caps3_of_another, sizeof caps3_of_another },
	{ "security.capability", caps3_of_nobody, sizeof caps3_of_nobody },
	{ "security.capability", caps1, sizeof caps1 },
	{ "security.capability", caps5, sizeof caps5 },
	{ "security.capability", "x", 1 },
	{ "trusted.foo", "abc", 3 },
	{ "trusted.overlay.opaque", "y", 1 },
	{ "trusted.", "x", 1 },
	{ "trusted", "x", 1 },
	{ "trusted.empty", "", 0 },
	{ "trusted.large", big, 2000 },
	{ "trusted.absurd", big, 65537 },
	{ "security.foo", "abc", 3 },
	{ "security.", "x", 1 },
	{ "security.ima", "abc", 3 },
	{ "security.evm", "abc", 3 },
	{ "security.selinux", "abc", 4 },
	{ "security.SMACK64", "abc", 3 },
	{ "security.apparmor", "abc", 3 },
	{ "user.foo", "abc", 3 },
	{ "user.", "x", 1 },
	{ "system.foo", "x", 1 },
	{ "system.posix_acl_access", &named, sizeof named },
	{ "system.posix_acl_access", &of_root, sizeof of_root },
	{ "system.posix_acl_access", &unmasked, sizeof unmasked },
	{ "system.posix_acl_access", &disordered, sizeof disordered },
	{ "system.posix_acl_access", &of_nobody, sizeof of_nobody },
	{ "system.posix_acl_access", &strange_tag, sizeof strange_tag },
	{ "system.posix_acl_access", &permissive, sizeof permissive },
	{ "system.posix_acl_access", &minimal, sizeof minimal },
	{ "system.posix_acl_access", &masked, sizeof masked },
	{ "system.posix_acl_access", &version, sizeof version },
	{ "system.posix_acl_access", &ungrouped, sizeof ungrouped },
	{ "system.posix_acl_access", &named, 4 },
	{ "system.posix_acl_access", &named, 3 },
	{ "system.posix_acl_access", &named, 13 },
	{ "system.posix_acl_default", &named, sizeof named },
	{ "system.posix_acl_default", &unmasked, sizeof unmasked },
	{ "system.posix_acl_default", &minimal, sizeof minimal },
	{ "nothing", "x", 1 },
	{ "", "x", 1 },
	{ long_name[0], "x", 1 },
	{ long_name[1], "x", 1 },
	{ long_name[2], "x", 1 },
	{ long_name[3], "x", 1 },
};

static void mode_of(const char *path) {
	struct statx now;
	word result = SYS(statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &now);
	text("  mode ");
	if (result) decimal(result);
	else number(now.stx_mode, 8);
	put('\n');
}

static void one(const char *path, const struct sample *sample) {
	const char *name = sample->name;
	text(path);
	put(' ');
	text(name);
	put('\n');
	done("replace", set(path, name, sample->value, sample->size, REPLACE));
	done("create", set(path, name, sample->value, sample->size, CREATE));
	done("create again", set(path, name, sample->value, sample->size, CREATE));
	done("both", set(path, name, sample->value, sample->size, CREATE | REPLACE));
	done("set", set(path, name, sample->value, sample->size, 0));
	done("flags", set(path, name, sample->value, sample->size, 4));
	done("null", set(path, name, 0, sample->size, 0));
	read_back(path, name);
	mode_of(path);
	done("remove", SYS(lremovexattr, path, name));
	done("remove again", SYS(lremovexattr, path, name));
	mode_of(path);
}

static const char *const files[] = { "file", "dir", "link", "dangling", "fifo", "char", "block", "hosts", "hostdir", "hostlink", "hostfifo", "absent", "/proc/self/stat" };

static void everything(const char *who, unsigned first, unsigned last) {
	text("# ");
	text(who);
	put('\n');
	for (unsigned file = first; file < last; file++)
		for (unsigned at = 0; at < sizeof samples / sizeof *samples; at++) one(files[file], samples + at);
}

static void make(void) {
	for (unsigned at = 0; at < sizeof big; at++) big[at] = 'x';
	const char *const prefixes[] = { "user.", "user.", "trusted.", "trusted." };
	for (int at = 0; at < 4; at++) {
		unsigned used = length_of(prefixes[at]);
		memcpy(long_name[at], prefixes[at], used);
		memset(long_name[at] + used, 'n', 255 + at % 2 - used);
	}
	SYS(umask, 022);
	shut(SYS(open, "file", O_CREAT | O_RDWR, 0644));
	SYS(mkdir, "dir", 0755);
	SYS(symlink, "file", "link");
	SYS(symlink, "absent", "dangling");
	SYS(mknod, "fifo", 0010644, 0);
	done("mknod", SYS(mknod, "char", 0020600, 0x103));
	done("mknod", SYS(mknod, "block", 0060600, 0x801));
}

struct header {
	__u32 version;
	int pid;
};

static void keep(unsigned low, unsigned high) {
	struct header header = { 0x20080522, 0 };
	__u32 sets[6] = { low, low, 0, high, high, 0 };
	done("capset", SYS(capset, &header, sets));
}

/* Runs in a child, since there is no way back. */
static void apart(void (*body)(void)) {
	flush();
	word pid = SYS(fork);
	if (!pid) {
		body();
		flush();
		SYS(exit_group, 0);
	}
	SYS(wait4, pid, 0, 0, 0);
}

static void by_capabilities(void) {
	WIDE(setresuid, -1, -1, -1);
	keep(1u << 31, 0);
	everything("CAP_SETFCAP alone", 0, 3);
}

static void by_admin(void) {
	keep(1u << 21, 0);
	everything("CAP_SYS_ADMIN alone", 0, 3);
}

static void by_owner(void) {
	WIDE(setgroups, 0, 0);
	WIDE(setresgid, 1000, 1000, 1000);
	WIDE(setresuid, 1000, 1000, 1000);
	everything("the owner", 0, 5);
}

static void by_another(void) {
	WIDE(setgroups, 0, 0);
	WIDE(setresgid, 1001, 1001, 1001);
	SYS(prctl, 8, 1);
	WIDE(setresuid, 1001, 1001, 1001);
	keep(1u << 1, 0);
	everything("another, who may write to all", 0, 4);
}

static void by_almost_owner(void) {
	WIDE(setgroups, 0, 0);
	SYS(prctl, 8, 1);
	WIDE(setresuid, 1001, 1001, 1001);
	keep(1u << 3 | 1u << 1, 0);
	everything("another, who may do as the owner", 0, 2);
}

static void forms(void) {
	text("# every form\n");
	int file = SYS(open, "file", O_RDWR), path = SYS(open, "file", O_PATH), directory = SYS(open, ".", O_DIRECTORY);
	const char *const wanted[] = { "trusted.form", "security.form", "user.form" };
	for (int at = 0; at < 3; at++) {
		const char *name = wanted[at];
		text(name);
		put('\n');
		done("by path", SYS(setxattr, "link", name, "1", 1, CREATE));
		got("by descriptor", SYS(fgetxattr, file, name, value, 9));
		done("by descriptor", SYS(fsetxattr, file, name, "22", 2, REPLACE));
		got("by path", SYS(getxattr, "link", name, value, 9));
		done("O_PATH", SYS(fsetxattr, path, name, "x", 1, 0));
		done("O_PATH", SYS(fgetxattr, path, name, value, 9));
		done("no descriptor", SYS(fsetxattr, 77, name, "x", 1, 0));
		listed("by descriptor", SYS(flistxattr, file, value, 300));
		listed("by path", SYS(listxattr, "link", value, 300));
		done("by descriptor", SYS(fremovexattr, file, name));
		done("by path", SYS(removexattr, "link", name));
		static struct arguments arguments;
		arguments = (struct arguments){ (word)"333", 3, CREATE };
		done("at", CALL(__NR_setxattrat, directory, "link", 0, name, &arguments, sizeof arguments));
		done("at small", CALL(__NR_setxattrat, directory, "file", 0, name, &arguments, 15));
		done("at large", CALL(__NR_setxattrat, directory, "file", 0, name, &arguments, 5000));
		done("at flags", CALL(__NR_setxattrat, directory, "file", 1, name, &arguments, sizeof arguments));
		arguments = (struct arguments){ (word)"4444", 4, REPLACE };
		done("at empty", CALL(__NR_setxattrat, file, "", AT_EMPTY_PATH, name, &arguments, sizeof arguments));
		done("at no flag", CALL(__NR_setxattrat, file, "", 0, name, &arguments, sizeof arguments));
		done("at O_PATH", CALL(__NR_setxattrat, path, "", AT_EMPTY_PATH, name, &arguments, sizeof arguments));
		done("at null", CALL(__NR_setxattrat, file, 0, AT_EMPTY_PATH, name, &arguments, sizeof arguments));
		done("at link", CALL(__NR_setxattrat, directory, "link", AT_SYMLINK_NOFOLLOW, name, &arguments, sizeof arguments));
		arguments = (struct arguments){ (word)value, 300, 0 };
		got("at", CALL(__NR_getxattrat, directory, "link", 0, name, &arguments, sizeof arguments));
		got("at link", CALL(__NR_getxattrat, directory, "link", AT_SYMLINK_NOFOLLOW, name, &arguments, sizeof arguments));
		got("at empty", CALL(__NR_getxattrat, file, "", AT_EMPTY_PATH, name, &arguments, sizeof arguments));
		arguments.flags = 1;
		done("at flags", CALL(__NR_getxattrat, directory, "link", 0, name, &arguments, sizeof arguments));
		arguments = (struct arguments){ 0, 0, 0 };
		done("at size", CALL(__NR_getxattrat, directory, "link", 0, name, &arguments, sizeof arguments));
		arguments = (struct arguments){ (word)value, 2, 0 };
		done("at short", CALL(__NR_getxattrat, directory, "link", 0, name, &arguments, sizeof arguments));
		listed("at", CALL(__NR_listxattrat, directory, "link", 0, value, 300));
		listed("at empty", CALL(__NR_listxattrat, file, "", AT_EMPTY_PATH, value, 300));
		done("at size", CALL(__NR_listxattrat, directory, "file", 0, 0, 0));
		done("at small", CALL(__NR_listxattrat, directory, "file", 0, value, 4));
		done("at", CALL(__NR_removexattrat, directory, "link", 0, name));
		done("at again", CALL(__NR_removexattrat, file, "", AT_EMPTY_PATH, name));
		done("at flags", CALL(__NR_removexattrat, directory, "file", 0x800, name));
		done("at link", CALL(__NR_removexattrat, directory, "link", AT_SYMLINK_NOFOLLOW, name));
	}
	done("name fault", SYS(setxattr, "file", 16, "x", 1, 0));
	done("name null", SYS(getxattr, "file", 0, value, 9));
	done("path fault", SYS(setxattr, 16, "trusted.x", "x", 1, 0));
	done("path null", SYS(removexattr, 0, "trusted.x"));
	done("dangling", SYS(setxattr, "dangling", "trusted.x", "x", 1, 0));
	done("not a directory", SYS(setxattr, "file/x", "trusted.x", "x", 1, 0));
	shut(file), shut(path), shut(directory);
}

static void acl(const char *path, const char *name) {
	got(name, SYS(lgetxattr, path, name, value, sizeof value));
}

static void acls(const char *path) {
	text(path);
	put('\n');
	mode_of(path);
	acl(path, "system.posix_acl_access");
	acl(path, "system.posix_acl_default");
	listed("list", SYS(llistxattr, path, value, sizeof value));
}

static void inheritance(void) {
	text("# what lists do\n");
	SYS(mkdir, "parent", 0775);
	done("default", set("parent", "system.posix_acl_default", &named, sizeof named, 0));
	SYS(umask, 077);
	shut(SYS(open, "parent/file", O_CREAT | O_RDWR, 0666));
	shut(SYS(open, "parent/private", O_CREAT | O_RDWR | O_EXCL, 0600));
	shut(SYS(creat, "parent/created", 0755));
	SYS(mkdir, "parent/dir", 0777);
	SYS(mkdir, "parent/dir/below", 0700);
	SYS(symlink, "file", "parent/link");
	SYS(mknod, "parent/fifo", 0010666, 0);
	SYS(mknod, "parent/node", 0100640, 0);
	SYS(mknod, "parent/char", 0020666, 0x103);
	int unnamed = SYS(open, "parent", O_TMPFILE | O_RDWR, 0666);
	got("unnamed", SYS(fgetxattr, unnamed, "system.posix_acl_access", value, sizeof value));
	shut(unnamed);
	SYS(umask, 022);
	const char *const made[] = { "parent", "parent/file", "parent/private", "parent/created", "parent/dir", "parent/dir/below", "parent/link", "parent/fifo", "parent/node", "parent/char" };
	for (unsigned at = 0; at < sizeof made / sizeof *made; at++) acls(made[at]);
	text("# chmod, chown, rename, link, remove\n");
	SYS(chmod, "parent/file", 0751);
	acls("parent/file");
	SYS(chmod, "parent/file", 04711);
	WIDE(chown, "parent/file", 7, 8);
	acls("parent/file");
	SYS(rename, "parent/file", "renamed");
	SYS(link, "renamed", "linked");
	acls("linked");
	done("minimal", set("renamed", "system.posix_acl_access", &minimal, sizeof minimal, 0));
	acls("linked");
	done("named", set("renamed", "system.posix_acl_access", &named, sizeof named, 0));
	done("masked", set("renamed", "system.posix_acl_access", &masked, sizeof masked, 0));
	acls("linked");
	done("named", set("renamed", "system.posix_acl_access", &named, sizeof named, 0));
	done("empty", set("renamed", "system.posix_acl_access", 0, 0, 0));
	acls("linked");
	done("no default", SYS(removexattr, "parent", "system.posix_acl_default"));
	acls("parent");
	shut(SYS(open, "parent/later", O_CREAT | O_RDWR, 0666));
	acls("parent/later");
	SYS(unlink, "renamed"), SYS(unlink, "linked");
	shut(SYS(open, "renamed", O_CREAT | O_RDWR, 0666));
	acls("renamed");
}

static void capabilities(void) {
	text("# what takes a file its capabilities\n");
	const struct sample *const kinds[] = { samples, samples + 2 };
	for (int kind = 0; kind < 2; kind++) {
		for (int how = 0; how < 8; how++) {
			shut(SYS(open, "capable", O_CREAT | O_RDWR, 0755));
			done("set", set("capable", "security.capability", kinds[kind]->value, kinds[kind]->size, 0));
			int file = SYS(open, "capable", O_RDWR);
			switch (how) {
#ifndef REMEMBERED
			case 0: done("write", SYS(write, file, "x", 1)); break;
			case 4: done("truncate", SYS(ftruncate, file, 3)); break;
#endif
			case 1: done("chown", WIDE(chown, "capable", 7, 8)); break;
			case 2: done("chown to root", WIDE(chown, "capable", 0, 0)); break;
			case 3: done("chmod", SYS(chmod, "capable", 0700)); break;
			case 5: done("rename", SYS(rename, "capable", "moved")); SYS(rename, "moved", "capable"); break;
			case 6: done("chown to nobody", WIDE(chown, "capable", -1, -1)); break;
			case 7: done("another", set("capable", "security.capability", caps2, sizeof caps2, REPLACE)); break;
			}
			shut(file);
			read_back("capable", "security.capability");
			SYS(unlink, "capable");
		}
	}
}

/* An open device: its attributes are those of the node by which it was opened. */
static void opened_device(void) {
	static const char *const wanted[] = { "trusted.x", "security.x", "user.x", "security.capability", "system.posix_acl_access" };
	text("# an open device\n");
	done("list by path", set("char", "system.posix_acl_access", &named, sizeof named, 0));
	done("capabilities by path", set("char", "security.capability", caps2, sizeof caps2, 0));
	int device = SYS(open, "char", O_RDWR);
	for (int round = 0; round < 2; round++) {
		for (unsigned at = 0; at < sizeof wanted / sizeof *wanted; at++) {
			got(wanted[at], SYS(fgetxattr, device, wanted[at], value, sizeof value));
			done("size", SYS(fgetxattr, device, wanted[at], 0, 0));
		}
		listed("list", SYS(flistxattr, device, value, sizeof value));
		done("list size", SYS(flistxattr, device, 0, 0));
		done("trusted", SYS(fsetxattr, device, "trusted.x", "1", 1, CREATE));
		done("user", SYS(fsetxattr, device, "user.x", "1", 1, 0));
		done("remove", SYS(fremovexattr, device, "security.capability"));
		read_back("char", "trusted.x");
		acls("char");
	}
	done("list", SYS(fsetxattr, device, "system.posix_acl_access", &masked, sizeof masked, 0));
	acls("char");
	done("fchmod", SYS(fchmod, device, 0640));
	acls("char");
	done("no list", SYS(fremovexattr, device, "system.posix_acl_access"));
	acls("char");
	shut(device);
}

/* The same on a file that the user of the namespace does not own. */
static void of_the_host(void) {
	text("# a file of the host's\n");
	done("set", set("hosts", "system.posix_acl_access", &named, sizeof named, 0));
	acls("hosts");
	done("chmod", SYS(chmod, "hosts", 0751));
	acls("hosts");
	done("set", set("hosts", "security.capability", caps2, sizeof caps2, 0));
	read_back("hosts", "security.capability");
	done("chown", WIDE(chown, "hosts", 7, 8));
	read_back("hosts", "security.capability");
	acls("hosts");
	done("minimal", set("hosts", "system.posix_acl_access", &minimal, sizeof minimal, 0));
	acls("hosts");
	done("user", set("hosts", "user.x", "x", 1, CREATE));
	done("trusted", set("hosts", "trusted.x", "x", 1, CREATE));
	acls("hosts");
	done("chown back", WIDE(chown, "hosts", 0, 0));
}

static void sticky(void) {
	text("# a directory of many\n");
	SYS(mkdir, "many", 0777);
	SYS(chmod, "many", 01777);
	WIDE(chown, "many", 7, 7);
	done("set", set("many", "user.x", "x", 1, 0));
	WIDE(setgroups, 0, 0);
	WIDE(setresgid, 1000, 1000, 1000);
	WIDE(setresuid, 1000, 1000, 1000);
	done("set", set("many", "user.x", "x", 1, 0));
	done("remove", SYS(removexattr, "many", "user.x"));
	got("get", SYS(getxattr, "many", "user.x", value, 9));
}

static void run(int argc, char **argv) {
	if (argc < 2 || SYS(chdir, argv[1])) SYS(exit_group, 98);
	make();
	everything("root", 0, sizeof files / sizeof *files);
	forms();
	inheritance();
	capabilities();
	opened_device();
	of_the_host();
	apart(sticky);
	apart(by_capabilities);
	apart(by_admin);
	for (unsigned at = 0; at < 7; at++) WIDE(lchown, files[at], 1000, 1000);
	apart(by_owner);
	apart(by_another);
	apart(by_almost_owner);
	everything("root again", 0, 3);
}
