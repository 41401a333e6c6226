// A FUSE server and its client in one program: `server HOW MOUNTPOINT OWN`. HOW says who serves: a "thread" of the client's
// process, a "child" that has just been made, or the "parent" of a client that has just been made. Before each answer the
// server makes calls of its own about the file OWN that take an emulator to answer. The client prints what it has seen.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int device, program;
static const char *own;
static char buffer[1 << 20], reply[1 << 20];

static struct fuse_attr attributes(unsigned long node) {
    struct fuse_attr attr = {.ino = node, .nlink = 1, .blksize = 4096, .mode = S_IFREG | 0644, .size = 2};
    if (node == 1) attr.mode = S_IFDIR | 0755, attr.size = 0;
    if (node == 9) {
        struct stat found;
        fstat(program, &found);
        attr.mode = S_IFREG | 0755, attr.size = found.st_size;
    }
    return attr;
}

// What only an emulator answers, and what it must not make wait.
static void ask(void) {
    static unsigned turn;
    struct stat found;
    if (chown(own, 1000 + turn % 7, 1000) || stat(own, &found) || found.st_uid != 1000 + turn % 7) {
        fprintf(stderr, "the server sees %d\n", found.st_uid);
        _exit(3);
    }
    turn++;
}

static void answer(struct fuse_in_header *in, int error, const void *body, size_t length) {
    struct fuse_out_header *out = (void *)reply;
    *out = (struct fuse_out_header){.len = sizeof *out + length, .error = -error, .unique = in->unique};
    memcpy(out + 1, body, length);
    if (write(device, out, out->len) < 0 && errno != ENOENT) _exit(4);
}

static void lookup(struct fuse_in_header *in, const char *name) {
    struct fuse_entry_out entry = {0};
    if (name[0] != 'f' || name[1] < '2' || name[1] > '9' || name[2]) return answer(in, ENOENT, "", 0);
    entry.nodeid = name[1] - '0';
    entry.attr = attributes(entry.nodeid);
    answer(in, 0, &entry, sizeof entry);
}

static void list(struct fuse_in_header *in, struct fuse_read_in *read) {
    char names[512] = {0};
    size_t length = 0;
    for (unsigned long node = 2; node <= 9 && read->offset == 0; node++) {
        struct fuse_dirent *entry = (void *)(names + length);
        *entry = (struct fuse_dirent){.ino = node, .off = node, .namelen = 2, .type = DT_REG};
        entry->name[0] = 'f', entry->name[1] = '0' + node;
        length += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + 2);
    }
    answer(in, 0, names, length);
}

static void serve_one(struct fuse_in_header *in, void *body) {
    struct fuse_attr_out attr = {.attr = attributes(in->nodeid)};
    struct fuse_open_out opened = {0};
    switch (in->opcode) {
    case FUSE_INIT: {
        struct fuse_init_out init = {.major = 7, .minor = 31, .max_readahead = 4096, .max_write = 65536};
        return answer(in, 0, &init, sizeof init);
    }
    case FUSE_FORGET: case FUSE_BATCH_FORGET: case FUSE_INTERRUPT: return;
    }
    ask();
    switch (in->opcode) {
    case FUSE_LOOKUP: return lookup(in, body);
    case FUSE_GETATTR: case FUSE_SETATTR: return answer(in, 0, &attr, sizeof attr);
    case FUSE_OPEN: case FUSE_OPENDIR: return answer(in, 0, &opened, sizeof opened);
    case FUSE_READDIR: return list(in, body);
    case FUSE_GETXATTR: return answer(in, ENODATA, "", 0);
    case FUSE_LISTXATTR: {
        struct fuse_getxattr_out size = {0};
        return answer(in, 0, &size, ((struct fuse_getxattr_in *)body)->size ? 0 : sizeof size);
    }
    case FUSE_SETXATTR: case FUSE_REMOVEXATTR: return answer(in, EOPNOTSUPP, "", 0);
    case FUSE_STATFS: {
        struct fuse_statfs_out statfs = {.st = {.bsize = 4096, .namelen = 255}};
        return answer(in, 0, &statfs, sizeof statfs);
    }
    case FUSE_READ: {
        struct fuse_read_in *read = body;
        static char piece[1 << 17];
        ssize_t count = in->nodeid == 9 ? pread(program, piece, read->size, read->offset) : read->offset ? 0 : 2;
        if (in->nodeid != 9) memcpy(piece, "x\n", 2);
        return answer(in, 0, piece, count);
    }
    case FUSE_RELEASE: case FUSE_RELEASEDIR: case FUSE_FLUSH: return answer(in, 0, "", 0);
    default: return answer(in, ENOSYS, "", 0);
    }
}

static void *serve(void *unused) {
    for (;;) {
        ssize_t length = read(device, buffer, sizeof buffer);
        if (length < 0 && errno == ENODEV) return unused;
        if (length < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
        if (length < 0) _exit(5);
        serve_one((void *)buffer, buffer + sizeof(struct fuse_in_header));
    }
}

static void use(const char *at) {
    char path[256], names[64];
    struct stat found;
    unsigned long sum = 0;
    int first = 0, status;
    for (int turn = 0; turn < 12; turn++) {
        snprintf(path, sizeof path, "%s/f%d", at, 2 + turn % 6);
        if (chown(path, 7 + turn, -1)) first = first ? first : errno;
        if (chmod(path, 0600)) first = first ? first : errno;
        if (stat(path, &found)) first = first ? first : errno;
        sum += found.st_uid;
        listxattr(path, names, sizeof names);
        utimensat(AT_FDCWD, path, 0, 0);
        int file = open(path, O_RDONLY);
        if (file < 0 || read(file, names, 2) != 2 || fchown(file, -1, 5) || fstat(file, &found)) first = first ? first : errno;
        sum += found.st_gid;
        close(file);
    }
    int entries = 0;
    DIR *directory = opendir(at);
    while (directory && readdir(directory)) entries++;
    if (directory) closedir(directory);
    snprintf(path, sizeof path, "%s/f9", at);
    pid_t pid = fork();
    if (pid == 0) execl(path, "true", (char *)0), _exit(126);
    waitpid(pid, &status, 0);
    printf("%s sum %lu entries %d exec %d\n", strerror(first), sum, entries, status);
    fflush(stdout);
    umount2(at, MNT_DETACH);
}

int main(int argc, char **argv) {
    char options[128];
    pthread_t thread;
    if (argc < 4) return 2;
    own = argv[3];
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    program = open("/bin/true", O_RDONLY | O_CLOEXEC);
    close(open(own, O_CREAT | O_WRONLY, 0644));
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
    if (device < 0 || mount("test", argv[2], "fuse.test", 0, options)) return perror("mount"), 2;
    switch (argv[1][0]) {
    case 't':
        pthread_create(&thread, 0, serve, 0);
        use(argv[2]);
        return 0;
    case 'c':
        if (fork() == 0) return serve(0), 0;
        close(device);
        use(argv[2]);
        wait(0);
        return 0;
    default:
        if (fork() == 0) return close(device), use(argv[2]), 0;
        serve(0);
        wait(0);
        return 0;
    }
}
