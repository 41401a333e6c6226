/* Device nodes, step by step; the same must come out for real root and under remainroot. Works in the current
 * directory, which is empty. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(call) check(#call, (long)(call))

static const struct node {
	const char *name;
	mode_t type;
	int major, minor;
} NODES[] = {
	{"null", S_IFCHR, 1, 3}, {"zero", S_IFCHR, 1, 5}, {"full", S_IFCHR, 1, 7}, {"random", S_IFCHR, 1, 8},
	{"urandom", S_IFCHR, 1, 9}, {"tty", S_IFCHR, 5, 0}, {"undriven", S_IFCHR, 240, 77}, {"memory", S_IFCHR, 1, 99},
	{"disk", S_IFBLK, 240, 7}, {"ram", S_IFBLK, 1, 0}, {"misc", S_IFCHR, 10, 254}, {"pts", S_IFCHR, 136, 1048575},
	{"printer", S_IFCHR, 6, 0},
};
enum { COUNT = sizeof NODES / sizeof *NODES };

static long check(const char *what, long result) {
	if (result < 0)
		printf("  %s: %s\n", what, strerrorname_np(errno));
	else
		printf("  %s: %ld\n", what, result);
	return result;
}

/* What a descriptor says of itself, and closes it. */
static void told(long fd) {
	struct stat found;
	char link[4096] = "";
	if (fd < 0)
		return;
	if (fstat(fd, &found) == 0)
		printf("    type %o device %u:%u size %lld flags %o cloexec %d\n", found.st_mode & S_IFMT,
			major(found.st_rdev), minor(found.st_rdev), (long long)found.st_size, fcntl(fd, F_GETFL),
			fcntl(fd, F_GETFD));
	snprintf(link, sizeof link, "/proc/self/fd/%ld", fd);
	close(fd);
}

static void times(const char *name, struct timespec *changed) {
	struct stat found;
	stat(name, &found);
	changed[0] = found.st_mtim;
	changed[1] = found.st_ctim;
}

static void opens(const struct node *node) {
	static const struct { const char *name; int flags; } FLAGS[] = {
		{"O_RDONLY", O_RDONLY}, {"O_WRONLY", O_WRONLY}, {"O_RDWR", O_RDWR}, {"3", 3}, {"O_CLOEXEC", O_CLOEXEC},
		{"O_NONBLOCK", O_RDWR | O_NONBLOCK}, {"O_APPEND", O_WRONLY | O_APPEND}, {"O_SYNC", O_RDWR | O_SYNC},
		{"O_DIRECT", O_RDWR | O_DIRECT}, {"O_TRUNC", O_RDWR | O_TRUNC}, {"O_RDONLY O_TRUNC", O_RDONLY | O_TRUNC},
		{"O_CREAT", O_RDWR | O_CREAT}, {"O_CREAT O_TRUNC", O_WRONLY | O_CREAT | O_TRUNC},
		{"O_EXCL", O_RDWR | O_EXCL}, {"O_CREAT O_EXCL", O_RDWR | O_CREAT | O_EXCL},
		{"O_DIRECTORY", O_DIRECTORY}, {"O_NOFOLLOW", O_RDWR | O_NOFOLLOW}, {"O_PATH", O_PATH},
		{"O_TMPFILE", O_TMPFILE | O_RDWR}, {"O_NOCTTY", O_RDWR | O_NOCTTY}, {"O_ASYNC", O_RDWR | O_ASYNC},
	};
	struct timespec before[2], after[2];
	char link[32];
	printf("opening %s\n", node->name);
	snprintf(link, sizeof link, "%s.link", node->name);
	CHECK(symlink(node->name, link));
	times(node->name, before);
	for (size_t index = 0; index < sizeof FLAGS / sizeof *FLAGS; index++) {
		int flags = FLAGS[index].flags;
		struct open_how how = {.flags = flags, .mode = flags & (O_CREAT | __O_TMPFILE) ? 0600 : 0};
		printf(" %s\n", FLAGS[index].name);
#ifdef SYS_open
		told(check("open", syscall(SYS_open, node->name, flags, 0600)));
		told(check("open of a link", syscall(SYS_open, link, flags, 0600)));
#endif
		told(check("openat", syscall(SYS_openat, AT_FDCWD, node->name, flags, 0600)));
		told(check("openat2", syscall(SYS_openat2, AT_FDCWD, node->name, &how, sizeof how)));
		how.resolve = RESOLVE_NO_SYMLINKS;
		told(check("openat2 of a link", syscall(SYS_openat2, AT_FDCWD, link, &how, sizeof how)));
	}
#ifdef SYS_creat
	told(check("creat", syscall(SYS_creat, node->name, 0600)));
#endif
	times(node->name, after);
	printf("  times %s\n", memcmp(before, after, sizeof before) ? "changed" : "kept");
	CHECK(truncate(node->name, 0));
	CHECK(truncate(node->name, -1));
	CHECK(truncate(link, 5));
	CHECK(access(node->name, R_OK | W_OK));
	CHECK(execl(node->name, node->name, NULL));
}

static void uses(const char *name) {
	struct timespec before[2], after[2];
	char bytes[8] = "abcdefg";
	printf("using %s\n", name);
	times(name, before);
	int fd = CHECK(open(name, O_RDWR));
	struct pollfd ready = {.fd = fd, .events = POLLIN | POLLOUT};
	long got = check("write", write(fd, bytes, 5));
	CHECK(lseek(fd, 3, SEEK_SET));
	CHECK(lseek(fd, 0, SEEK_END));
	got = check("read", read(fd, bytes, 5));
	if (strstr(name, "random") == NULL && got > 0)
		printf("  first byte %d\n", bytes[0]);
	CHECK(ftruncate(fd, 0));
	CHECK(isatty(fd));
	CHECK(poll(&ready, 1, 0));
	CHECK(fallocate(fd, 0, 0, 10));
	CHECK(fsync(fd));
	CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	CHECK(sendfile(fd, fd, NULL, 3));
	CHECK(pwrite(fd, "x", 1, 1000));
	void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	printf("  mmap: %s\n", mapped == MAP_FAILED ? strerrorname_np(errno) : "mapped");
	pid_t child = fork();
	if (child == 0)
		_exit(read(fd, bytes, 1) == read(dup(fd), bytes, 1));
	int status;
	waitpid(child, &status, 0);
	printf("  child %d\n", status);
	close(fd);
	int path = CHECK(open(name, O_PATH));
	snprintf(bytes, sizeof bytes, "%d", path);
	char through[64];
	snprintf(through, sizeof through, "/proc/self/fd/%d", path);
	told(check("open through proc", open(through, O_WRONLY)));
	close(path);
	times(name, after);
	printf("  times %s\n", memcmp(before, after, sizeof before) ? "changed" : "kept");
}

static int by_name(const void *one, const void *other) {
	return strcmp(*(char *const *)one, *(char *const *)other);
}

static void lists(const char *form) {
	char *lines[200], bytes[700];
	int count = 0, fd = open(".", O_RDONLY | O_DIRECTORY);
	printf("listing by %s\n", form);
	for (;;) {
		int modern = strcmp(form, "getdents64") == 0;
#ifdef SYS_getdents
		long got = modern ? syscall(SYS_getdents64, fd, bytes, sizeof bytes) : syscall(SYS_getdents, fd, bytes, sizeof bytes);
#else
		long got = syscall(SYS_getdents64, fd, bytes, sizeof bytes);
#endif
		if (got <= 0)
			break;
		for (long at = 0; at < got;) {
			int word = modern ? 8 : sizeof(long);
			unsigned short length = *(unsigned short *)(bytes + at + 2 * word);
			int type = modern ? bytes[at + 18] : bytes[at + length - 1];
			char *name = bytes + at + 2 * word + (modern ? 3 : 2);
			asprintf(&lines[count++], "  %s %d", name, type);
			at += length;
		}
	}
	close(fd);
	qsort(lines, count, sizeof *lines, by_name);
	for (int index = 0; index < count; index++)
		puts(lines[index]);
}

static void *reads(void *name) {
	char byte;
	for (int round = 0; round < 100; round++) {
		int fd = open(name, O_RDONLY);
		long expected = strcmp(name, "null") == 0 ? 0 : 1;
		if (fd < 0 || read(fd, &byte, 1) != expected)
			return "failed";
		close(fd);
	}
	return "went well";
}

static void threads(void) {
	pthread_t all[4];
	char *names[] = {"null", "zero", "plain", "urandom"};
	void *outcome;
	puts("threads");
	for (int index = 0; index < 4; index++)
		pthread_create(&all[index], NULL, reads, names[index]);
	for (int index = 0; index < 4; index++) {
		pthread_join(all[index], &outcome);
		printf("  %s %s\n", names[index], (char *)outcome);
	}
}

/* A node keeps being what it is, whatever happens to its name, owner and mode. */
static void lives(void) {
	struct stat found;
	puts("another name");
	CHECK(link("zero", "hard"));
	CHECK(rename("zero", "moved"));
	CHECK(chown("moved", 7, 8));
	CHECK(chmod("moved", 0640));
	told(check("open", open("hard", O_RDONLY)));
	stat("hard", &found);
	printf("  %o %u:%u links %d device %u:%u\n", found.st_mode, found.st_uid, found.st_gid, (int)found.st_nlink,
		major(found.st_rdev), minor(found.st_rdev));
	CHECK(unlink("moved"));
	told(check("open", open("hard", O_RDONLY)));
	CHECK(mkdir("d", 0755));
	CHECK(rename("hard", "d/zero"));
	told(check("open", open("d/zero", O_RDONLY)));
	int directory = open("d", O_PATH);
	told(check("openat", openat(directory, "zero", O_RDONLY)));
	CHECK(unlink("d/zero"));
	CHECK(close(open("d/zero", O_CREAT | O_WRONLY, 0644)));
	told(check("a file in its place", open("d/zero", O_WRONLY | O_TRUNC)));
	CHECK(rename("d/zero", "null"));
	told(check("a file over it", open("null", O_RDWR)));
}

/* What is done to an open device is done to the node that it was opened by. */
static void owned(const char *name) {
	struct stat open_, named;
	int fd = CHECK(open(name, O_RDWR));
	CHECK(fchown(fd, 5, 6));
	CHECK(fchmod(fd, 0640));
	fstat(fd, &open_);
	stat(name, &named);
	printf("  %o %u:%u, %s\n", named.st_mode, named.st_uid, named.st_gid,
		open_.st_dev == named.st_dev && open_.st_ino == named.st_ino && open_.st_mode == named.st_mode &&
		open_.st_uid == named.st_uid && open_.st_gid == named.st_gid && open_.st_nlink == named.st_nlink &&
		open_.st_mtim.tv_nsec == named.st_mtim.tv_nsec && open_.st_size == named.st_size ? "the same" : "others");
	CHECK(fchown(fd, 0, 0));
	CHECK(fchmod(fd, 0666));
	CHECK(futimens(fd, (struct timespec[]){{0, UTIME_OMIT}, {1000000000, 5}}));
	stat(name, &named);
	printf("  modified %ld.%ld\n", (long)named.st_mtim.tv_sec, named.st_mtim.tv_nsec);
	CHECK(futimens(fd, NULL));
	CHECK(futimens(fd, (struct timespec[]){{0, 1000000000}, {0, 0}}));
	stat(name, &named);
	printf("  modified %s\n", named.st_mtim.tv_sec > 1000000000 ? "now" : "long ago");
	int other = dup2(fd, 20);
	close(fd);
	if (fork() == 0) {
		fstat(other, &open_);
		_exit(open_.st_ino == named.st_ino);
	}
	int status;
	wait(&status);
	printf("  child %d\n", status);
	close(other);
}

int main(void) {
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
	CHECK(write(open("plain", O_CREAT | O_WRONLY, 0644), "plain", 5));
	close(3);
	CHECK(mkfifo("fifo", 0644));
	for (int index = 0; index < COUNT; index++) {
		const struct node *node = &NODES[index];
		check(node->name, mknod(node->name, node->type | 0666, makedev(node->major, node->minor)));
	}
	for (int index = 0; index < COUNT; index++)
		opens(&NODES[index]);
	uses("null");
	uses("zero");
	uses("full");
	uses("urandom");
	uses("random");
	lists("getdents");
	lists("getdents64");
	puts("owners");
	owned("null");
	owned("zero");
	threads();
	lives();
	lists("getdents64");
	return 0;
}
