"""Which system calls a grader may make: the seccomp filter, as classic BPF, for x86_64 and aarch64.

Only what is listed is allowed; anything else fails with EPERM, as does a listed call with other arguments. So
there is no socket but a pair of its own, no other process (threads only), no signal to anybody else, no new
program, mount, namespace, tracing, key, shared memory or io_uring, whatever a later kernel adds.

Numbers: asm/unistd_64.h and asm-generic/unistd.h. Filter: https://man7.org/linux/man-pages/man2/seccomp.2.html
"""

import ctypes
import errno
import os
import platform
import struct
from typing import Final

# Words of `name:number on x86_64:number on aarch64`.
_FILES = """
    read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 preadv:295:69
    pwritev:296:70 preadv2:327:286 pwritev2:328:287 open:2:- openat:257:56 creat:85:- close:3:57
    close_range:436:436 lseek:8:62 stat:4:- fstat:5:80 lstat:6:- newfstatat:262:79 statx:332:291
    access:21:- faccessat:269:48 faccessat2:439:439 getdents:78:- getdents64:217:61 readlink:89:-
    readlinkat:267:78 mkdir:83:- mkdirat:258:34 rmdir:84:- unlink:87:- unlinkat:263:35 rename:82:-
    renameat:264:38 renameat2:316:276 symlink:88:- symlinkat:266:36 truncate:76:45 ftruncate:77:46
    fallocate:285:47 fsync:74:82 fdatasync:75:83 fadvise64:221:223 readahead:187:213 flock:73:32
    dup:32:23 dup2:33:- dup3:292:24 pipe:22:- pipe2:293:59 getcwd:79:17 chdir:80:49 fchdir:81:50
    umask:95:166 chmod:90:- fchmod:91:52 fchmodat:268:53 utime:132:- utimes:235:- utimensat:280:88
    statfs:137:43 fstatfs:138:44 copy_file_range:326:285 sendfile:40:71 splice:275:76 getxattr:191:8
    lgetxattr:192:9 fgetxattr:193:10 listxattr:194:11 llistxattr:195:12 flistxattr:196:13
"""
_MEMORY = """
    mmap:9:222 mprotect:10:226 munmap:11:215 mremap:25:216 madvise:28:233 brk:12:214 msync:26:227
    mincore:27:232 membarrier:324:283 mlock:149:228 munlock:150:229
"""
_THREADS = """
    futex:202:98 futex_waitv:449:449 set_robust_list:273:99 rseq:334:293
    set_tid_address:218:96 gettid:186:178 sched_yield:24:124 sched_getaffinity:204:123
    sched_getparam:143:121 sched_getscheduler:145:120 sched_get_priority_max:146:125
    sched_get_priority_min:147:126 getcpu:309:168 arch_prctl:158:- exit:60:93 exit_group:231:94
    restart_syscall:219:128 wait4:61:260 waitid:247:95
"""
_SIGNALS = """
    rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigpending:127:136
    rt_sigtimedwait:128:137 rt_sigsuspend:130:133 sigaltstack:131:132 pause:34:- signalfd:282:-
    signalfd4:289:74 alarm:37:- getitimer:36:102 setitimer:38:103 timer_create:222:107
    timer_settime:223:110 timer_gettime:224:108 timer_getoverrun:225:109 timer_delete:226:111
"""
_TIME = """
    clock_gettime:228:113 clock_getres:229:114 clock_nanosleep:230:115 nanosleep:35:101
    gettimeofday:96:169 time:201:- times:100:153 timerfd_create:283:85 timerfd_settime:286:86
    timerfd_gettime:287:87
"""
_WAITING = """
    poll:7:- ppoll:271:73 select:23:- pselect6:270:72 epoll_create:213:- epoll_create1:291:20
    epoll_ctl:233:21 epoll_wait:232:- epoll_pwait:281:22 epoll_pwait2:441:441 eventfd:284:-
    eventfd2:290:19 sendto:44:206 recvfrom:45:207 sendmsg:46:211 recvmsg:47:212 shutdown:48:210
    getsockopt:55:209 getsockname:51:204 getpeername:52:205
"""
_ITSELF = """
    getpid:39:172 getppid:110:173 getpgrp:111:- getpgid:121:155 getsid:124:156 getuid:102:174
    geteuid:107:175 getgid:104:176 getegid:108:177 getgroups:115:158 getresuid:118:148 getresgid:120:150
    capget:125:90 getpriority:140:141 uname:63:160 sysinfo:99:179 getrusage:98:165 getrlimit:97:163
    getrandom:318:278
"""

_CLONE, _CLONE3 = "clone:56:220", "clone3:435:435"
_KILL, _TGKILL, _PRLIMIT = "kill:62:129", "tgkill:234:131", "prlimit64:302:261"
_PRCTL, _FCNTL, _IOCTL, _SOCKETPAIR = "prctl:157:167", "fcntl:72:25", "ioctl:16:29", "socketpair:53:199"
_SECCOMP = "seccomp:317:277"

_CLONE_THREAD, _CLONE_NEW = 0x10000, 0x7E020000
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPES = 1, 1, 0xF
# PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE, PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS
_PRCTL_OPTIONS = (15, 16, 0x53564D41, 3, 21, 39)
# All but those that send signals (F_SETOWN, F_SETSIG) or hold up others (leases).
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
_IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)

_MACHINES: Final[dict[str, tuple[int, int]]] = {"x86_64": (1, 0xC000003E), "aarch64": (2, 0xC00000B7)}
"""Which of the two numbers, and the kernel's name for the architecture."""

_LOAD, _EQUAL, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x45, 0x54, 0x06
_ALLOWED, _KILLED = 0x7FFF0000, 0x80000000
_REFUSED, _UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_ARCHITECTURE_AT, _ARGUMENTS_AT = 4, 16

Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def restrict(libc: ctypes.CDLL) -> None:
    """Hold this process, which has one thread, to the filter, and its threads to come.

    Raises: OSError where the kernel has no seccomp or does not let a process add a filter.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise OSError(errno.ENOSYS, f"no filter is written for {platform.machine()}")
    instructions = _filter(*machine, pid=os.getpid())
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in instructions))
    program = _Program(len(instructions), ctypes.cast(code, ctypes.c_void_p))
    (number,) = _numbers(_SECCOMP, machine[0])
    if libc.syscall(number, 1, 0, ctypes.byref(program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp refuses the filter")


def _filter(column: int, architecture: int, pid: int) -> list[Instruction]:
    def of(call: str, body: list[Instruction]) -> list[Instruction]:
        (number,) = _numbers(call, column)
        return [(_EQUAL, 0, len(body), number), *body]

    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILLED),  # a 32-bit call on a 64-bit machine has other numbers
        (_LOAD, 0, 0, 0),
        *(
            instruction
            for number in _numbers(
                _FILES + _MEMORY + _THREADS + _SIGNALS + _TIME + _WAITING + _ITSELF, column
            )
            for instruction in ((_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOWED))
        ),
        *of(_CLONE, _a_thread()),
        *of(_CLONE3, [(_RETURN, 0, 0, _UNKNOWN)]),  # its flags are out of a filter's sight; libc asks `clone`
        *of(_KILL, _one_of(0, (pid,))),
        *of(_TGKILL, _one_of(0, (pid,))),
        *of(_PRLIMIT, _one_of(0, (0, pid))),
        *of(_PRCTL, _one_of(0, _PRCTL_OPTIONS)),
        *of(_FCNTL, _one_of(1, _FCNTL_COMMANDS)),
        *of(_IOCTL, _one_of(1, _IOCTL_REQUESTS)),
        *of(_SOCKETPAIR, _a_stream_pair()),
        (_RETURN, 0, 0, _REFUSED),
    ]


def _numbers(calls: str, column: int) -> list[int]:
    numbers = [call.split(":")[column] for call in calls.split()]
    return [int(number) for number in numbers if number != "-"]


def _argument(index: int) -> Instruction:
    """Its lower half: the kernel reads no more of these."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)


def _one_of(index: int, values: tuple[int, ...]) -> list[Instruction]:
    allowed = [
        instruction for value in values for instruction in ((_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOWED))
    ]
    return [_argument(index), *allowed, (_RETURN, 0, 0, _REFUSED)]


def _a_thread() -> list[Instruction]:
    return [
        _argument(0),
        (_ANY_BIT, 2, 0, _CLONE_NEW),
        (_ANY_BIT, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOWED),
        (_RETURN, 0, 0, _REFUSED),
    ]


def _a_stream_pair() -> list[Instruction]:
    """As asyncio makes one. Datagrams could be sent on to any other socket of the machine."""
    return [
        _argument(0),
        (_EQUAL, 0, 4, _AF_UNIX),
        _argument(1),
        (_AND, 0, 0, _SOCK_TYPES),
        (_EQUAL, 0, 1, _SOCK_STREAM),
        (_RETURN, 0, 0, _ALLOWED),
        (_RETURN, 0, 0, _REFUSED),
    ]
