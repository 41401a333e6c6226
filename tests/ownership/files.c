/* Owners, modes, devices and new files, step by step; the same must come out for real root and under
 * remainroot. Argument: a directory to work in, with a file "hosts" of root's that is 06755. */
#include "raw.h"
#include "show.h"

static void become(unsigned uid, unsigned gid, unsigned group) {
	WIDE(setgroups, group ? 1 : 0, &group);
	step("setresgid", WIDE(setresgid, -1, gid, -1));
	step("setresuid", WIDE(setresuid, -1, uid, -1));
}

static void root_again(void) {
	step("setresuid back", WIDE(setresuid, -1, 0, -1));
	step("setresgid back", WIDE(setresgid, -1, 0, -1));
	WIDE(setgroups, 0, 0);
}

static void file(const char *path, int mode) {
	shut(step(path, SYS(open, path, O_CREAT | O_RDWR | O_EXCL, 0600)));
	SYS(chmod, path, mode);
}

static void mode_of(const char *path) {
	memset(&buffer, 0x5A, sizeof buffer);
	SHOW(path, plain, SYS(lstat, path, &buffer));
}

static void owners(void) {
	text("# chown in every form\n");
	file("f", 0644);
	SYS(symlink, "f", "l");
	SYS(symlink, "loop", "loop");
	step("chown", WIDE(chown, "f", 7, 8));
	show("f");
	show("l");
	step("chown uid", WIDE(chown, "l", 9, KEEP));
	step("chown gid", WIDE(chown, "f", KEEP, 10));
	step("lchown", WIDE(lchown, "l", 11, 12));
	show("f");
	show("l");
	int at = SYS(open, ".", O_DIRECTORY), open = SYS(open, "f", O_RDWR), path = SYS(open, "f", O_PATH);
	step("fchown", WIDE(fchown, open, 13, 14));
	show_descriptor(open);
	step("fchown O_PATH", WIDE(fchown, path, 15, 16));
	step("fchownat", SYS(fchownat, at, "f", 17, 18, 0));
	step("fchownat nofollow", SYS(fchownat, at, "l", 19, 20, AT_SYMLINK_NOFOLLOW));
	step("fchownat empty", SYS(fchownat, path, "", 21, 22, AT_EMPTY_PATH));
	show("f");
	show("l");
	step("large ids", WIDE(chown, "f", 100000, 4294967294u));
	show("f");
#ifdef __i386__
	step("chown16", SYS(chown, "f", 7, 0xFFFF));
	step("lchown16", SYS(lchown, "l", 0xFFFF, 9));
	step("fchown16", SYS(fchown, open, 0x10005, 0x10006));
	show("f");
	show("l");
#endif
	step("to nobody", WIDE(chown, "f", 65534, 65534));
	show("f");
	step("back to root", WIDE(chown, "f", 0, 0));
	show("f");
	shut(at), shut(open), shut(path);
}

static char megabyte[1 << 20];

static void errors(void) {
	text("# what is wrong with a path\n");
	memset(megabyte, 'a', sizeof megabyte - 1);
	const char *component = megabyte + sizeof megabyte - 301;
	const char *paths[] = { "absent", "f/x", "loop", component, megabyte, "", (char *)16, 0 };
	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
		step("chown", WIDE(chown, paths[i], 7, 8));
		step("chown 0", WIDE(chown, paths[i], 0, 0));
		step("lchown", WIDE(lchown, paths[i], 7, 8));
		step("chmod", SYS(chmod, paths[i], 0600));
		step("stat", SYS(stat, paths[i], &buffer));
		step("stat null", SYS(stat, paths[i], 0));
		step("statx", SYS(statx, AT_FDCWD, paths[i], 0, STATX_BASIC_STATS, &buffer));
		step("mknod", SYS(mknod, paths[i], 0020644, 0x103));
		step("mkdir", SYS(mkdir, i == 2 ? "absent/x" : paths[i], 0700) && i != 0);
		SYS(rmdir, "absent");
		SYS(unlink, "absent");
	}
	step("buffer", SYS(stat, "f", 16));
	step("fd", WIDE(fchown, 99, 7, 8));
	step("fd -1", WIDE(fchown, -1, 7, 8));
	step("fchmod", SYS(fchmod, 99, 0600));
	step("fstat", SYS(fstat, 99, &buffer));
	step("chown flags", SYS(fchownat, AT_FDCWD, "f", 7, 8, 2));
	step("chown flags and path", SYS(fchownat, AT_FDCWD, 16, 7, 8, 0x8000));
	step("chmod flags", SYS(fchmodat2, AT_FDCWD, "f", 0600, 2));
	step("empty, no flag", SYS(fchownat, AT_FDCWD, "", 7, 8, 0));
	step("directory not one", SYS(fchownat, 0, "f", 7, 8, 0));
	step("directory bad", SYS(fchownat, 99, "f", 7, 8, 0));
	step("statx flags", SYS(statx, AT_FDCWD, "f", 0x8, STATX_BASIC_STATS, &buffer));
	step("statx reserved", SYS(statx, AT_FDCWD, "f", 0, 0x80000000u, &buffer));
	step("read-only", WIDE(chown, "/proc/self/nothing", 7, 8));
}

static void set_id(void) {
	static const int modes[] = { 04755, 02755, 02745, 06755, 06644, 01777 };
	static const unsigned ids[][2] = { { 7, 7 }, { KEEP, KEEP }, { 0, 0 }, { KEEP, 5 }, { 1000, KEEP }, { KEEP, 20 } };
	text("# set-id bits and chown: root, owner, stranger\n");
	SYS(mkdir, "sd", 0700);
	for (unsigned m = 0; m < sizeof modes / sizeof *modes; m++)
		for (unsigned i = 0; i < sizeof ids / sizeof *ids; i++)
			for (unsigned who = 0; who < 4; who++) {
				SYS(unlink, "s");
				int made = SYS(open, "s", O_CREAT | O_RDWR | O_EXCL, 0600);
				WIDE(fchown, made, who == 3 ? 0 : 1000, who == 2 ? 30 : 1001);
				WIDE(chown, "sd", 1000, 1001);
				SYS(fchmod, made, modes[m]);
				SYS(chmod, "sd", modes[m]);
				if (who) become(1000, who == 2 ? 30 : 1000, who == 2 ? 0 : 20);
				decimal(m), put(' '), decimal(i), put(' '), decimal(who), put('\n');
				step("chown", WIDE(chown, "s", ids[i][0], ids[i][1]));
				step("chown directory", WIDE(chown, "sd", ids[i][0], ids[i][1]));
				mode_of("s");
				mode_of("sd");
				if (who) root_again();
				shut(made);
			}
}

static void modes(void) {
	static const int modes[] = { 0600, 04755, 02755, 06777, 01755, 0107777 };
	text("# chmod: root, owner in the group, owner outside, stranger\n");
	for (unsigned m = 0; m < sizeof modes / sizeof *modes; m++)
		for (unsigned who = 0; who < 4; who++) {
			SYS(unlink, "m");
			int made = SYS(open, "m", O_CREAT | O_RDWR | O_EXCL, 0600);
			WIDE(fchown, made, who == 3 ? 5 : 1000, 40);
			int path = SYS(open, "m", O_PATH);
			if (who) become(1000, 1000, who == 1 ? 40 : 20);
			decimal(m), put(' '), decimal(who), put('\n');
			step("chmod", SYS(chmod, "m", modes[m]));
			mode_of("m");
			step("fchmod", SYS(fchmod, made, modes[m] ^ 0111));
			mode_of("m");
			step("fchmod O_PATH", SYS(fchmod, path, modes[m]));
			step("fchmodat", SYS(fchmodat, AT_FDCWD, "m", modes[m]));
			mode_of("m");
			step("fchmodat2 empty", SYS(fchmodat2, path, "", 0640, AT_EMPTY_PATH));
			mode_of("m");
			step("fchmodat2 link", SYS(fchmodat2, AT_FDCWD, "l", 0640, AT_SYMLINK_NOFOLLOW));
			if (who) root_again();
			shut(made), shut(path);
		}
}

static void devices(void) {
	static const int types[] = { 0020000, 0060000, 0010000, 0140000, 0100000, 0, 0040000, 0120000, 0030000 };
	text("# mknod of everything, by root and by a user\n");
	for (unsigned who = 0; who < 2; who++) {
		if (who) become(1000, 1001, 0);
		for (unsigned t = 0; t < sizeof types / sizeof *types; t++) {
			step("mknod", SYS(mknod, "n", types[t] | 0666, 0x10345));
			show("n");
			step("again", SYS(mknodat, AT_FDCWD, "n", types[t] | 0666, 0x10345));
			SYS(unlink, "n");
		}
		step("whiteout", SYS(mknod, "w", 0020600, 0));
		show("w");
		SYS(unlink, "w");
		if (who) root_again();
	}
	step("minor above 255", SYS(mknod, "n", 0060640, 0x12345678));
	step("chown", WIDE(chown, "n", 0, 6));
	step("chmod", SYS(chmod, "n", 0664));
	show("n");
	step("rename", SYS(rename, "n", "n2"));
	step("link", SYS(link, "n2", "n3"));
	show("n3");
	step("chown 0:0", WIDE(chown, "n3", 0, 0));
	show("n2");
	SYS(unlink, "n2"), SYS(unlink, "n3");
}

static int bound(const char *path) {
	struct { __u16 family; char path[108]; } address = { 1, "" };
	unsigned length = 0;
	while (path[length]) address.path[length] = path[length], length++;
	int socket = SYS(socket, 1, 1, 0);
	word result = SYS(bind, socket, &address, 2 + length);
#ifdef __i386__
	if (result == -98) {
		word words[] = { socket, (word)&address, 2 + (word)length };
		SYS(unlink, path);
		result = SYS(socketcall, 2, words);
	}
#endif
	shut(socket);
	return result;
}

static void made_in(const char *directory) {
	struct open_how how = { O_CREAT | O_RDWR, 0640, 0 };
	struct open_how in_root = { O_CREAT | O_RDWR, 0666, RESOLVE_IN_ROOT };
	struct open_how rooted = { O_CREAT | O_RDWR, 0640, RESOLVE_NO_SYMLINKS };
	text(directory);
	put('\n');
	int at = SYS(open, directory, O_DIRECTORY);
	SYS(fchdir, at);
	shut(step("open", SYS(open, "o", O_CREAT | O_RDWR, 0666)));
	shut(step("open again", SYS(open, "old", O_CREAT | O_RDWR, 0666)));
	shut(step("exclusive", SYS(open, "x", O_CREAT | O_RDWR | O_EXCL, 06777)));
	shut(step("openat", SYS(openat, at, "oa", O_CREAT | O_RDWR, 0600)));
	shut(step("openat2", SYS(openat2, at, "o2", &how, sizeof how)));
	shut(step("openat2 resolve", SYS(openat2, at, "o3", &rooted, sizeof rooted)));
	shut(step("openat2 in root", SYS(openat2, at, "/o5", &in_root, sizeof in_root)));
	shut(step("openat2 in root again", SYS(openat2, at, "/../old", &in_root, sizeof in_root)));
	step("openat2 in root below nothing", SYS(openat2, at, "/absent/x", &in_root, sizeof in_root));
	step("openat2 bad", SYS(openat2, at, "o4", 16, sizeof rooted));
	shut(step("creat", SYS(creat, "c", 0666)));
	step("mkdir", SYS(mkdir, "d", 0777));
	step("mkdirat", SYS(mkdirat, at, "da/", 0777));
	step("symlink", SYS(symlink, "nowhere", "l"));
	step("symlinkat", SYS(symlinkat, "nowhere2", at, "la"));
	step("fifo", SYS(mknod, "p", 0010666, 0));
	step("regular", SYS(mknodat, at, "r", 0666, 0));
	step("bind", bound("s"));
	step("bind again", bound("s"));
	shut(step("through a link", SYS(open, "l", O_CREAT | O_RDWR, 0666)));
	int unnamed = step("O_TMPFILE", SYS(open, ".", O_TMPFILE | O_RDWR, 0666));
	if (unnamed >= 0) show_descriptor(unnamed);
	shut(unnamed);
	static const char *const names[] =
		{ "o", "old", "x", "oa", "o2", "o3", "c", "d", "da", "l", "la", "p", "r", "s", "nowhere", "o4", "o5" };
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) show(names[i]);
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) SYS(unlinkat, AT_FDCWD, names[i], 0);
	SYS(rmdir, "d"), SYS(rmdir, "da");
	SYS(chdir, "..");
	shut(at);
}

static void creation(void) {
	static const char *const directories[] = { "plain", "setgid" };
	text("# new files belong to who makes them, or to the directory's group\n");
	SYS(umask, 027);
	for (unsigned i = 0; i < 2; i++) {
		SYS(mkdir, directories[i], 0700);
		step("chown", WIDE(chown, directories[i], 0, 50));
		step("chmod", SYS(chmod, directories[i], i ? 02777 : 0777));
	}
	for (unsigned who = 0; who < 3; who++) {
		text("who ");
		decimal(who);
		put('\n');
		for (unsigned i = 0; i < 2; i++) {
			SYS(chdir, directories[i]);
			shut(SYS(open, "old", O_CREAT | O_RDWR, 0666));
			WIDE(chown, "old", 77, 78);
			SYS(chmod, "old", 0666);
			SYS(chdir, "..");
		}
		if (who == 1) become(1000, 1001, 0);
		if (who == 2) step("setfsuid", WIDE(setfsuid, 300)), step("setfsgid", WIDE(setfsgid, 301));
		for (unsigned i = 0; i < 2; i++) made_in(directories[i]);
		if (who == 1) root_again();
		if (who == 2) step("setfsgid", WIDE(setfsgid, 0)), step("setfsuid", WIDE(setfsuid, 0));
	}
	SYS(umask, 022);
}

static void lives(void) {
	text("# a fact belongs to its inode\n");
	file("a", 0644);
	step("chown", WIDE(chown, "a", 7, 8));
	step("link", SYS(link, "a", "b"));
	step("rename", SYS(rename, "a", "c"));
	show("b");
	show("c");
	int open = SYS(open, "b", O_RDWR);
	SYS(unlink, "b"), SYS(unlink, "c");
	show_descriptor(open);
	step("fchown deleted", WIDE(fchown, open, 9, 10));
	step("fchmod deleted", SYS(fchmod, open, 0640));
	show_descriptor(open);
	shut(open);
	file("a", 0644);
	show("a");
	flush();
	int child = SYS(fork);
	if (child == 0) {
		step("child", WIDE(chown, "a", 70, 80));
		show("a");
		flush();
		SYS(exit_group, 0);
	}
	SYS(wait4, child, 0, 0, 0);
	show("a");
}

static void hosts(void) {
	text("# an inode that is not ours\n");
	show("../hosts");
	step("chown 0:0", WIDE(chown, "../hosts", 0, 0));
	show("../hosts");
	step("chmod", SYS(chmod, "../hosts", 0600));
	show("../hosts");
	step("chmod", SYS(chmod, "../hosts", 06711));
	show("../hosts");
	step("chown", WIDE(chown, "../hosts", 7, 8));
	step("chmod", SYS(chmod, "../hosts", 02711));
	show("../hosts");
	show("/etc/passwd");
	show("/dev/null");
	show("/proc/sys");
}

static void run(int argc, char **argv) {
	if (argc != 2 || SYS(chdir, argv[1])) SYS(exit_group, 2);
	SYS(umask, 022);
	step("mkdir", SYS(mkdir, "work", 0700));
	SYS(chmod, "work", 0777);
	SYS(chdir, "work");
	/* One fact, so that every stage is up and everything below is answered by the same rules. */
	file("first", 0644);
	step("first", WIDE(chown, "first", 1, 1));
	owners();
	errors();
	set_id();
	modes();
	devices();
	creation();
	lives();
	hosts();
}
