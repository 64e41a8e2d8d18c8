/* Calls of the system that fail when they are told to.
 *
 * Loaded before the C library (LD_PRELOAD). It counts the calls that concern files below one folder, and lets the
 * n-th of a kind fail, that one alone or with others from then on. Nothing happens until failing_arm is called.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* In the order of KINDS in warm.py. */
enum { OPEN_WRITE, WRITE, FSYNC, RENAME, MKDIR, TRUNCATE, UNLINK, OPEN_READ, READ, LIST, KINDS };

static atomic_int armed;
static char watched[PATH_MAX];
static size_t watched_length;
static atomic_long calls[KINDS];
static atomic_long failed;
static atomic_int tripped;
static int chosen_kind, chosen_error;
static long chosen_number;
static unsigned lasting; /* a bit for each kind that fails too once the first has */
static char first[PATH_MAX];
/* A line for each counted call, "kind path", where none is to fail. */
static char told[1 << 20];
static atomic_size_t told_length;

void failing_arm(const char *folder, int kind, long number, int error, unsigned after) {
    snprintf(watched, sizeof watched, "%s", folder);
    watched_length = strlen(watched);
    chosen_kind = kind, chosen_number = number, chosen_error = error, lasting = after;
    atomic_store(&armed, 1);
}

void failing_disarm(void) { atomic_store(&armed, 0); }
long failing_failed(void) { return atomic_load(&failed); }
const char *failing_first(void) { return first; }
const char *failing_told(void) { return told; }

static int is_below(const char *path) {
    return !strncmp(path, watched, watched_length) && (path[watched_length] == '/' || !path[watched_length]);
}

static void tell(int kind, const char *path) {
    char line[PATH_MAX + 8];
    size_t length = snprintf(line, sizeof line, "%d %s\n", kind, path);
    size_t at = atomic_fetch_add(&told_length, length);
    if (at + length < sizeof told) memcpy(told + at, line, length);
}

/* Whether the call is to fail; errno is set then. */
static int fails(int kind, const char *path) {
    if (!is_below(path)) return 0;
    long number = atomic_fetch_add(&calls[kind], 1) + 1;
    if (chosen_kind < 0) tell(kind, path);
    if (kind == chosen_kind && number == chosen_number) atomic_store(&tripped, 1);
    else if (!atomic_load(&tripped) || !(lasting >> kind & 1)) return 0;
    if (atomic_fetch_add(&failed, 1) == 0) snprintf(first, sizeof first, "%s", path);
    errno = chosen_error;
    return 1;
}

static int place_of(int handle, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static int fails_at(int kind, int folder, const char *path) {
    if (!atomic_load(&armed) || !path) return 0;
    int before = errno;
    char whole[2 * PATH_MAX], home[PATH_MAX];
    if (path[0] == '/') snprintf(whole, sizeof whole, "%s", path);
    else if (folder == AT_FDCWD ? getcwd(home, sizeof home) != NULL : place_of(folder, home))
        snprintf(whole, sizeof whole, "%s/%s", home, path);
    else return errno = before, 0;
    errno = before;
    return fails(kind, whole);
}

static int fails_on(int kind, int handle) {
    if (!atomic_load(&armed)) return 0;
    int before = errno;
    char path[PATH_MAX];
    int known = place_of(handle, path);
    errno = before;
    return known && fails(kind, path);
}

static int kind_of(int flags) { return flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) ? OPEN_WRITE : OPEN_READ; }

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define MODE(after) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, after); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        MODE(flags) \
        REAL(name); \
        return fails_at(kind_of(flags), AT_FDCWD, path) ? -1 : real(path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        MODE(flags) \
        REAL(name); \
        return fails_at(kind_of(flags), folder, path) ? -1 : real(folder, path, flags, mode); \
    }
#define CREAT(name) \
    int name(const char *path, mode_t mode) { \
        REAL(name); \
        return fails_at(OPEN_WRITE, AT_FDCWD, path) ? -1 : real(path, mode); \
    }
#define FOPEN(name) \
    FILE *name(const char *path, const char *how) { \
        REAL(name); \
        int kind = strpbrk(how, "wa+") ? OPEN_WRITE : OPEN_READ; \
        return fails_at(kind, AT_FDCWD, path) ? NULL : real(path, how); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
CREAT(creat)
CREAT(creat64)
FOPEN(fopen)
FOPEN(fopen64)

#define ON(kind, result, name, parameters, arguments) \
    result name parameters { \
        REAL(name); \
        return fails_on(kind, handle) ? -1 : real arguments; \
    }
ON(WRITE, ssize_t, write, (int handle, const void *from, size_t n), (handle, from, n))
ON(WRITE, ssize_t, pwrite, (int handle, const void *from, size_t n, off_t at), (handle, from, n, at))
ON(WRITE, ssize_t, pwrite64, (int handle, const void *from, size_t n, off64_t at), (handle, from, n, at))
ON(WRITE, ssize_t, writev, (int handle, const struct iovec *from, int n), (handle, from, n))
ON(FSYNC, int, fsync, (int handle), (handle))
ON(FSYNC, int, fdatasync, (int handle), (handle))
ON(TRUNCATE, int, ftruncate, (int handle, off_t size), (handle, size))
ON(TRUNCATE, int, ftruncate64, (int handle, off64_t size), (handle, size))
ON(READ, ssize_t, read, (int handle, void *to, size_t n), (handle, to, n))
ON(READ, ssize_t, pread, (int handle, void *to, size_t n, off_t at), (handle, to, n, at))
ON(READ, ssize_t, pread64, (int handle, void *to, size_t n, off64_t at), (handle, to, n, at))

#define AT(kind, folder, path, name, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        return fails_at(kind, folder, path) ? -1 : real arguments; \
    }
AT(RENAME, AT_FDCWD, to, rename, (const char *from, const char *to), (from, to))
AT(RENAME, b, to, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
AT(RENAME, b, to, renameat2, (int a, const char *from, int b, const char *to, unsigned how), (a, from, b, to, how))
AT(MKDIR, AT_FDCWD, path, mkdir, (const char *path, mode_t mode), (path, mode))
AT(MKDIR, folder, path, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode))
AT(UNLINK, AT_FDCWD, path, unlink, (const char *path), (path))
AT(UNLINK, folder, path, unlinkat, (int folder, const char *path, int how), (folder, path, how))
AT(UNLINK, AT_FDCWD, path, rmdir, (const char *path), (path))

DIR *opendir(const char *path) {
    REAL(opendir);
    return fails_at(LIST, AT_FDCWD, path) ? NULL : real(path);
}
