// Gives files away in every way, at random, and says what became of all after each call: `gives DIRECTORY SEED STEPS [jail | thread | late]`.
// In a jail there is no /proc; with a thread it is not alone; late nothing is given to others at first.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../draw.h"

static const char *const names[] = {"a", "b", "d", "e", "h", "l", "n", "s", "g", "x", "d/i"};
static const char *const paths[] = {"a", "b", "d", "h", "s", "g", "x", "d/i", "d/../a", "d/", "e/", "a/", "", "none", "l", "n"};
static const unsigned ids[] = {0, 0, -1, -1, 5, 127, 128, 16383, 16384, 70000, 2097152, 4294967294u};
static const char *const lists[] = {"system.posix_acl_access", "system.posix_acl_access", "system.posix_acl_access",
                                    "system.posix_acl_default", "system.posix_acl_acces", "user.none", NULL};
static const unsigned modes[] = {0644, 0600, 0755, 0, 04711, 02755, 01777};

static void make(const char *path, mode_t mode) {
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (file < 0 || fchmod(file, mode) || close(file)) exit(3);
}

static void say(const char *what, int result) {
    printf("%s %s\n", what, result < 0 ? strerrorname_np(errno) : "0");
}

// Owners and modes of all, and what was told of them; every change shows in the time of its inode.
static void show_all(int watch, struct timespec *times) {
    char events[4096] __attribute__((aligned(8)));
    unsigned told = 0;
    for (ssize_t length; (length = read(watch, events, sizeof events)) > 0;)
        for (char *at = events; at < events + length; at += sizeof(struct inotify_event) + ((struct inotify_event *)at)->len)
            told |= ((struct inotify_event *)at)->mask;
    printf("  told %x:", told);
    for (unsigned i = 0; i < COUNT(names); i++) {
        struct stat it;
        if (lstat(names[i], &it)) continue;
        int changed = it.st_ctim.tv_sec != times[i].tv_sec || it.st_ctim.tv_nsec != times[i].tv_nsec;
        printf(" %s%s %u:%u %o", names[i], changed ? "!" : "", it.st_uid, it.st_gid, it.st_mode);
        times[i] = it.st_ctim;
    }
    printf("\n");
}

// Links among them: from then on not all that is known stands on the inodes.
static void give(int others, int links) {
    unsigned count = others ? COUNT(ids) : 4, uid = ids[draw(count)], gid = ids[draw(count)], kind = draw(9);
    const char *path = paths[draw(COUNT(paths) - (links ? 0 : 2))];
    printf("give %u %s %d %d: ", kind, path, (int)uid, (int)gid);
    int file = open(path, (kind == 4 || kind == 6 ? O_PATH : O_RDONLY | O_NONBLOCK) | O_NOFOLLOW);
    switch (kind) {
    case 0: case 1: say("chown", chown(path, uid, gid)); break;
    case 2: say("lchown", lchown(path, uid, gid)); break;
    case 3: case 4: say("fchown", fchown(file, uid, gid)); break;
    case 5: case 6: say("empty", fchownat(file, "", uid, gid, AT_EMPTY_PATH)); break;
    case 7: say("nofollow", fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)); break;
    default: {
        int directory = open("d", O_PATH);
        say("at", fchownat(directory, "i", uid, gid, draw(8) ? 0 : 0x40000000));
        close(directory);
    }
    }
    if (file >= 0) close(file);
}

// Sets an access list, mostly one that says what a mode does.
static void list(const char *path, int file) {
    unsigned char value[44] = {2, 0, 0, 0, 1, 0, draw(9), 0, 255, 255, 255, 255, 4, 0, draw(8), 0, 255, 255, 255, 255,
                               32, 0, draw(8), 0, 255, 255, 255, 255};
    const unsigned char more[] = {16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255};
    const char *name = PICK(lists);
    void *at = draw(8) ? value : draw(2) ? (void *)8 : NULL;
    size_t size = draw(8) ? 28 : draw(45);
    // With a mask: one that stays. A bad one.
    if (!draw(16)) memcpy(value + 20, more, sizeof more), size = 36;
    if (!draw(8)) value[draw(28)] ^= 1 << draw(8);
    printf("%s %zu ", name ? name : "-", size);
    switch (draw(3)) {
    case 0: say("list", setxattr(path, name, at, size, draw(4) ? 0 : draw(3))); break;
    case 1: say("list of a link", lsetxattr(path, name, at, size, 0)); break;
    default: say("list by descriptor", fsetxattr(file, name, at, size, draw(4) ? 0 : draw(3)));
    }
}

static void change(void) {
    const char *path = PICK(paths);
    unsigned mode = PICK(modes), kind = draw(9);
    printf("change %u %s %o: ", kind, path, mode);
    struct timespec given[2] = {{1000, 5}, {0, UTIME_OMIT}};
    int file = open(path, O_RDONLY | O_NONBLOCK);
    switch (kind) {
    case 0: say("chmod", chmod(path, mode)); break;
    case 1: say("fchmod", fchmod(file, mode)); break;
    case 2: say("fchmodat", fchmodat(AT_FDCWD, path, mode, 0)); break;
    case 3: say("times", utimensat(AT_FDCWD, path, given, AT_SYMLINK_NOFOLLOW)); break;
    case 4: say("now", futimens(file, NULL)); break;
    case 5: case 6: list(path, file); break;
    case 7: say("no list", draw(2) ? removexattr(path, PICK(lists)) : fremovexattr(file, PICK(lists))); break;
    default: // a number that is used again is another's
        say("gone", unlink("b"));
        unlink("h"), make("b", 0640), link("b", "h");
    }
    if (file >= 0) close(file);
}

static void *sleep_on(void *nothing) {
    poll(NULL, 0, -1);
    return nothing;
}

int main(int argc, char **argv) {
    if (argc < 4 || chdir(argv[1])) return 2;
    seed(strtoul(argv[2], NULL, 10));
    umask(0);
    make("a", 0644), make("b", 0640), make("s", 04755), make("x", 0644);
    if (mkdir("d", 0755) || mkdir("e", 0700) || mkdir("g", 0755) || chmod("g", 02755)) return 3;
    make("d/i", 0644), link("b", "h"), symlink("a", "l"), symlink("nowhere", "n");
    setxattr("x", "user.mine", "1", 1, 0);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    inotify_add_watch(watch, ".", IN_ALL_EVENTS & ~IN_ACCESS);
    int late = argc > 4 && !strcmp(argv[4], "late");
    if (argc > 4 && !strcmp(argv[4], "jail") && chroot(".")) return 5;
    pthread_t other;
    if (argc > 4 && !strcmp(argv[4], "thread") && pthread_create(&other, NULL, sleep_on, NULL)) return 6;
    struct timespec times[COUNT(names)] = {0};
    unsigned steps = strtoul(argv[3], NULL, 10);
    for (unsigned step = 0, others = 0; step < steps; step++) {
        if (!others && (!late || step > steps / 2)) others = chown("a", 7, 8) ? exit(4), 0 : 1;
        draw(3) ? give(others, step > steps / 4 * 3) : change();
        show_all(watch, times);
    }
    printf("the next descriptor is %d\n", open("a", O_RDONLY));
    return 0;
}
