"""Programs that try to get out of the sandbox, each the body of a `grade(sample, item)`, and how each ends.

`item` has what they would reach: `port` of a listener on loopback, `unix` and `abstract` sockets, a `file`
with a secret and the `folder` it lies in, and `pid`, the process that holds a secret in its environment. A
program that got through returns 1.0.
"""

from dataclasses import dataclass

DENIED = r"PermissionError|Operation not permitted|Permission denied"


@dataclass(frozen=True)
class Ends:
    """With that reward, or that kind of error and a message that matches."""

    reward: float | None = None
    error: str | None = None
    message: str = ""


def _raises(message: str = DENIED) -> Ends:
    return Ends(error="grader_exception", message=message)


def _invalid(message: str) -> Ends:
    return Ends(error="invalid_reward", message=message)


_CTYPES = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
_DIRECT = (
    _CTYPES + "result = {call}\n"
    "if result == -1: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))\nreturn 1.0"
)


def _direct(call: str) -> str:
    return _DIRECT.format(call=call)


NETWORK: dict[str, tuple[str, Ends]] = {
    "connect over IPv4": (
        "import socket\nsocket.create_connection(('127.0.0.1', item['port'])).sendall(b'out')\nreturn 1.0",
        _raises(),
    ),
    "connect over IPv6": (
        "import socket\nsocket.create_connection(('::1', item['port'])).sendall(b'out')\nreturn 1.0",
        _raises(r"Address family|PermissionError|gaierror"),
    ),
    "send a datagram": (
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.sendto(b'out', ('127.0.0.1', item['port']))\nreturn 1.0",
        _raises(),
    ),
    "resolve a name": (
        "import socket\nsocket.getaddrinfo('example.com', 80)\nreturn 1.0",
        _raises("gaierror"),
    ),
    "ask for credentials at the instance metadata service": (
        "import urllib.request\nurllib.request.urlopen('http://169.254.169.254/latest/', timeout=1)\n"
        "return 1.0",
        _raises(),
    ),
    "ask Lambda's runtime API": (
        "import http.client\nc = http.client.HTTPConnection('127.0.0.1', 9001)\n"
        "c.request('GET', '/2018-06-01/runtime/invocation/next')\nreturn 1.0",
        _raises(),
    ),
    "a raw socket": (
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\nreturn 1.0",
        _raises(),
    ),
    "a packet socket": (
        "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)\nreturn 1.0",
        _raises(),
    ),
    "a netlink socket": (
        "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\nreturn 1.0",
        _raises(),
    ),
    "a vsock socket": ("import socket\nsocket.socket(40, socket.SOCK_STREAM)\nreturn 1.0", _raises()),
    "a unix socket by path": (
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect(item['unix'])\ns.sendall(b'out')\n"
        "return 1.0",
        _raises(),
    ),
    "an abstract unix socket": (
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('\\0' + item['abstract'])\nreturn 1.0",
        _raises(),
    ),
    "a pair of datagram sockets, to send on from": (
        "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "a.sendto(b'out', item['unix'])\nreturn 1.0",
        _raises(),
    ),
    "a stream pair that is connected anew": (
        "import socket\na, b = socket.socketpair()\na.connect(item['unix'])\nreturn 1.0",
        _raises(),
    ),
    "listen": (
        "import socketserver\nsocketserver.TCPServer(('127.0.0.1', 0), None)\nreturn 1.0",
        _raises(),
    ),
    "a socket by system call": (_direct("libc.socket(2, 1, 0)"), _raises()),
    "a 32-bit system call's number": (_direct("libc.syscall(0x40000000 + 41, 2, 1, 0)"), _raises()),
}

FILES: dict[str, tuple[str, Ends]] = {
    "read a file outside": ("return float(len(open(item['file']).read()) > 0)", _raises()),
    "write a file outside": ("open(item['file'], 'w').write('changed')\nreturn 1.0", _raises()),
    "make a file outside": ("open(item['folder'] + '/new', 'w').write('new')\nreturn 1.0", _raises()),
    "delete a file outside": ("import os\nos.unlink(item['file'])\nreturn 1.0", _raises()),
    "list a folder outside": ("import os\nreturn float(len(os.listdir(item['folder'])) > 0)", _raises()),
    "read AWS's credentials": (
        "from pathlib import Path\nreturn float(bool(Path('/root/.aws/credentials').read_text()))",
        _raises(DENIED + "|No such file"),
    ),
    "expand the home folder of whoever runs this": (
        "import os\n"
        "return float(os.path.exists(os.path.expanduser('~/.aws')) or os.environ['HOME'] == '/root')",
        Ends(reward=0.0),
    ),
    "read accounts": ("return float(len(open('/etc/passwd').read()) > 0)", _raises()),
    "follow a symbolic link out": (
        "import os\nos.symlink(item['file'], 'link')\nreturn float(len(open('link').read()) > 0)",
        _raises(),
    ),
    "write through a symbolic link": (
        "import os\nos.symlink(item['folder'], 'link')\nopen('link/new', 'w').write('new')\nreturn 1.0",
        _raises(),
    ),
    "a hard link": ("import os\nos.link(item['file'], 'link')\nreturn 1.0", _raises()),
    "climb by dots": ("return float(len(open('../../../../../../etc/passwd').read()) > 0)", _raises()),
    "move a file out": (
        "import os\nopen('mine', 'w').write('x')\nos.rename('mine', item['folder'] + '/mine')\nreturn 1.0",
        _raises(DENIED + "|cross-device"),
    ),
    "make a device": ("import os\nos.mknod('disk', 0o60600, os.makedev(8, 0))\nreturn 1.0", _raises()),
    "change the root": ("import os\nos.chroot('.')\nreturn 1.0", _raises()),
    "mount": (_direct("libc.mount(b'none', b'.', b'tmpfs', 0, None)"), _raises()),
    "open by a handle": (_direct("libc.open_by_handle_at(-100, None, 0)"), _raises()),
    "change a package for the next": (
        "import json\nopen(json.__file__, 'a').write('\\n')\nreturn 1.0",
        _raises(DENIED + "|Read-only"),
    ),
    "shared memory in /dev/shm": ("open('/dev/shm/outcrop', 'w').write('x')\nreturn 1.0", _raises()),
    "shared memory of the standard library": (
        "from multiprocessing import shared_memory\nshared_memory.SharedMemory('outcrop', True, 8)\n"
        "return 1.0",
        _raises(),
    ),
    "the terminal": ("open('/dev/tty', 'w').write('hello')\nreturn 1.0", _raises(DENIED + "|No such device")),
}

PROCESSES: dict[str, tuple[str, Ends]] = {
    "fork": ("import os\nif os.fork() == 0: os._exit(0)\nreturn 1.0", _raises()),
    "a fork bomb": ("import os\nwhile True: os.fork()", _raises()),
    "vfork, by a subprocess": ("import subprocess\nsubprocess.run(['/bin/true'])\nreturn 1.0", _raises()),
    "a shell": ("import os\nreturn float(os.system('true') == 0)", Ends(reward=0.0)),
    "a process of multiprocessing": (
        "import multiprocessing\nmultiprocessing.Process(target=print).start()\nreturn 1.0",
        _raises(),
    ),
    "become another program": ("import os\nos.execve('/bin/sh', ['sh', '-c', 'true'], {})", _raises()),
    "become another Python": ("import os, sys\nos.execv(sys.executable, ['python', '-c', ''])", _raises()),
    "run a program out of memory": (
        "import os\nfd = os.memfd_create('x')\nos.execve(fd, ['x'], {})\nreturn 1.0",
        _raises(),
    ),
    "clone by system call": (
        _direct("libc.syscall({'x86_64': 56, 'aarch64': 220}[os.uname().machine], 17, 0)"),
        _raises(),
    ),
    "clone3 by system call": (
        _direct("libc.syscall(435, ctypes.create_string_buffer(88), 88)"),
        _raises("Function not implemented"),
    ),
    "kill the owner": ("import os\nos.kill(os.getppid(), 9)\nreturn 1.0", _raises()),
    "kill the handler": ("import os\nos.kill(item['pid'], 9)\nreturn 1.0", _raises()),
    "kill everybody": ("import os\nos.kill(-1, 9)\nreturn 1.0", _raises()),
    "kill the group": ("import os\nos.killpg(0, 9)\nreturn 1.0", _raises()),
    "a signal by pidfd": (
        "import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(item['pid']), 9)\nreturn 1.0",
        _raises(),
    ),
    "a signal by an owned descriptor": (
        "import fcntl, os\nr, w = os.pipe()\nfcntl.fcntl(r, 8, os.getppid())\nreturn 1.0",
        _raises(),
    ),
    "limits of another process": (
        "import resource\nresource.prlimit(item['pid'], resource.RLIMIT_NOFILE, (0, 0))\nreturn 1.0",
        _raises(),
    ),
    "trace the owner": (_direct("libc.ptrace(16, os.getppid(), 0, 0)"), _raises()),
    "read the owner's memory": (
        "import os\nopen(f'/proc/{os.getppid()}/mem', 'rb').read(1)\nreturn 1.0",
        _raises(),
    ),
    "read the handler's memory": (
        "open(f'/proc/{item[\"pid\"]}/mem', 'rb').read(1)\nreturn 1.0",
        _raises(DENIED + "|No such file"),
    ),
    "read the handler's environment": (
        "return float('canary' in open(f'/proc/{item[\"pid\"]}/environ').read())",
        _raises(DENIED + "|No such file"),
    ),
    "read it by system call": (
        _direct("libc.process_vm_readv(os.getppid(), None, 0, None, 0, 0)"),
        _raises(),
    ),
    "what its own environment has left": (
        "import os\nreturn float(any('AWS' in n or 'canary' in v for n, v in os.environ.items()))",
        Ends(reward=0.0),
    ),
    "the environment it was started with": (
        "return float('canary' in open('/proc/self/environ').read())",
        _raises(),
    ),
    "credentials of boto3": (
        "import boto3\nreturn float(boto3.Session().get_credentials() is not None)",
        Ends(reward=0.0),
    ),
    "descriptors that were left open": (
        "import os\nleft = []\nfor fd in range(3, 256):\n"
        "    try: left.append(os.readlink(f'/proc/self/fd/{fd}')) if os.fstat(fd) else None\n"
        "    except PermissionError: left.append(fd)\n    except OSError: pass\n"
        "return float(len(left))",
        Ends(reward=1.0),  # the one that its result goes to
    ),
}

KERNEL: dict[str, tuple[str, Ends]] = {
    "a user namespace": (_direct("libc.unshare(0x10000000)"), _raises()),
    "a network namespace": (_direct("libc.unshare(0x40000000)"), _raises()),
    "enter a namespace": (_direct("libc.setns(0, 0)"), _raises()),
    "become root": ("import os\nos.setuid(0)\nreturn 1.0", _raises()),
    "become nobody": ("import os\nos.setresuid(65534, 65534, 65534)\nreturn 1.0", _raises()),
    "take capabilities": (
        _direct("libc.capset(ctypes.create_string_buffer(8), ctypes.create_string_buffer(24))"),
        _raises(),
    ),
    "allow new privileges again": (_direct("libc.prctl(38, 0, 0, 0, 0)"), _raises()),
    "be dumped again": (_direct("libc.prctl(4, 1, 0, 0, 0)"), _raises()),
    "outlive the parent": (_direct("libc.prctl(1, 0, 0, 0, 0)"), _raises()),
    "replace the filter": (
        _direct("libc.syscall({'x86_64': 317, 'aarch64': 277}[os.uname().machine], 1, 0, 0)"),
        _raises(),
    ),
    "io_uring": (_direct("libc.syscall(425, 8, ctypes.create_string_buffer(120))"), _raises()),
    "bpf": (_direct("libc.syscall({'x86_64': 321, 'aarch64': 280}[os.uname().machine], 0, 0, 0)"), _raises()),
    "perf events": (
        _direct("libc.syscall({'x86_64': 298, 'aarch64': 241}[os.uname().machine], 0, 0, 0, 0, 0)"),
        _raises(),
    ),
    "keys": (_direct("libc.syscall({'x86_64': 250, 'aarch64': 219}[os.uname().machine], 0, 0)"), _raises()),
    "userfaultfd": (
        _direct("libc.syscall({'x86_64': 323, 'aarch64': 282}[os.uname().machine], 0)"),
        _raises(),
    ),
    "System V shared memory": (_direct("libc.shmget(1234, 4096, 0o1600)"), _raises()),
    "a message queue": (_direct("libc.mq_open(b'/outcrop', 66, 0o600, None)"), _raises()),
    "reboot": (_direct("libc.reboot(0x1234567)"), _raises()),
    "load a module": (
        _direct("libc.syscall({'x86_64': 313, 'aarch64': 273}[os.uname().machine], 0, b'', 0)"),
        _raises(),
    ),
    "set the clock": ("import time\ntime.clock_settime(0, 0)\nreturn 1.0", _raises()),
    "rename the machine": ("import socket\nsocket.sethostname('outcrop')\nreturn 1.0", _raises()),
    "type into a terminal": ("import fcntl\nfcntl.ioctl(0, 0x5412, b'x')\nreturn 1.0", _raises()),
    "a session of its own": ("import os\nos.setsid()\nreturn 1.0", _raises()),
    "higher limits": (
        "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (2**40, 2**40))\nreturn 1.0",
        _raises("not allowed to raise maximum limit"),
    ),
}

RESOURCES: dict[str, tuple[str, Ends]] = {
    "a memory bomb": ("return float(len(bytearray(3 * 2**30)))", _raises("MemoryError")),
    "a memory bomb in pieces": (
        "kept = []\nwhile True: kept.append(bytearray(2**27))",
        _raises("MemoryError"),
    ),
    "a memory bomb of shared pages": (
        "import mmap\nkept = [mmap.mmap(-1, 2**30) for _ in range(8)]\nreturn 1.0",
        _raises("Cannot allocate memory"),
    ),
    "a pickle bomb": (
        "import pickle\nreturn float(len(pickle.loads(b'\\x80\\x04\\x96' + (2**42).to_bytes(8, 'little'))))",
        _raises("MemoryError|UnpicklingError|EOFError|truncated"),
    ),
    "a file of 2 GB": (
        "import os\nwith open('big', 'wb') as f: os.posix_fallocate(f.fileno(), 0, 2 * 2**30)\nreturn 1.0",
        _raises("File too large|No space left"),
    ),
    "too many descriptors": (
        "kept = []\nwhile True: kept.append(open('/dev/null'))",
        _raises("Too many open files"),
    ),
    "too many threads": (
        "import threading, time\n"
        "for _ in range(5000): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "return 1.0",
        _raises("can't start new thread|MemoryError"),
    ),
    "a recursion without end": ("def f(): return f()\nreturn f()", _raises("RecursionError")),
    "a recursion that crashes": (
        "import sys\nsys.setrecursionlimit(10**9)\nclass A:\n"
        "    def __getattr__(self, n): return getattr(self, n + 'x')\n"
        "import ctypes\nctypes.string_at(0)\nreturn 1.0",
        _raises("SIGSEGV"),
    ),
    "100 MB of prints": ("for _ in range(100): print('x' * 10**6)\nreturn 0.5", Ends(reward=0.5)),
    "100 MB to the standard error": (
        "import sys\nfor _ in range(100): sys.stderr.write('x' * 10**6)\nreturn 0.5",
        Ends(reward=0.5),
    ),
    "a message of 10 MB": ("raise ValueError('x' * 10**7)", _raises("^Traceback")),
    "input from the terminal": ("input()", _raises("EOFError")),
}

ENDINGS: dict[str, tuple[str, Ends]] = {
    "sys.exit": ("import sys\nsys.exit(0)", _raises(r"sys.exit\(0\)")),
    "os._exit": ("import os\nos._exit(0)", _raises("os._exit")),
    "os._exit with another status": ("import os\nos._exit(7)", _raises("os._exit")),
    "an interrupt": ("raise KeyboardInterrupt", _raises("KeyboardInterrupt")),
    "a signal to itself": ("import os\nos.kill(os.getpid(), 15)\nreturn 1.0", _raises("SIGTERM")),
    "abort": ("import os\nos.abort()", _raises("SIGABRT")),
    "an exit handler": (
        "import atexit, os\natexit.register(lambda: os.kill(os.getpid(), 9))\nreturn 0.5",
        Ends(reward=0.5),
    ),
    "a thread that stays": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\nreturn 0.5",
        Ends(reward=0.5),
    ),
    "an exception that cannot be told": (
        "class E(Exception):\n    def __str__(self): raise SystemExit(0)\nraise E",
        _raises("exception str|SystemExit|os._exit|sys.exit"),
    ),
    "an exception that hides": (
        "class E(BaseException):\n    __class__ = property(lambda self: int)\nraise E('x')",
        _raises("E: x"),
    ),
}

REWARDS: dict[str, tuple[str, Ends]] = {
    "a reward on the standard output": (
        "print('{\"reward\": 1.0}')\nimport os\nos.write(1, b'{\"reward\": 1.0}\\n')\nreturn 0.25",
        Ends(reward=0.25),
    ),
    "a reward into every descriptor": (
        "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'\\n{\"reward\": 1.0}\\n')\n"
        "    except OSError: pass\nreturn 0.25",
        Ends(reward=0.25),
    ),
    "a megabyte into every descriptor": (
        "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'x' * 10**6)\n"
        "    except OSError: pass\nreturn 0.25",
        Ends(reward=0.25),
    ),
    "every descriptor closed": ("import os\nos.closerange(0, 256)\nreturn 1.0", _raises("os._exit")),
    "None": ("return None", _invalid("not None")),
    "a text": ("return '1.0'", _invalid("not str: '1.0'")),
    "a truth": ("return True", _invalid("not bool: True")),
    "a list": ("return [1.0]", _invalid("not list")),
    "a complex number": ("return 1j", _invalid("not complex")),
    "not a number": ("return float('nan')", _invalid("returned nan")),
    "infinity": ("return float('-inf')", _invalid("returned -inf")),
    "a huge whole number": ("return 10**400", _invalid("too large")),
    "a number of 100,000 digits": ("return 10**100_000", _invalid("too large")),
    "an object that becomes a float": (
        "class F:\n    def __float__(self): return 1.0\nreturn F()",
        _invalid("not F"),
    ),
    "an object that equals everything": (
        "class A:\n    def __eq__(self, other): return True\n    def __le__(self, other): return True\n"
        "    __ge__ = __lt__ = __gt__ = __le__\n    __hash__ = None\nreturn A()",
        _invalid("not A"),
    ),
    "a float that says something else": (
        "class F(float):\n    def __float__(self): return 1.0\n    def __repr__(self): return '1.0'\n"
        "    def __format__(self, s): return '1.0'\nreturn F(0.25)",
        Ends(reward=0.25),
    ),
    "a generator": ("yield 1.0", _invalid("not generator")),
    "a coroutine": ("async def later(): return 1.0\nreturn later()", _invalid("not coroutine")),
    "a float that is replaced": (
        "import builtins, json, math\nbuiltins.float = builtins.int = str\n"
        "builtins.isinstance = lambda *_: True\n"
        "math.isfinite = lambda _: True\njson.dumps = lambda _: '{\"reward\": 1.0}'\nreturn 0.25",
        Ends(reward=0.25),
    ),
    "not a number, checks replaced": (
        "import builtins, math\nmath.isfinite = lambda _: True\nreturn float('nan')",
        _invalid("something else"),
    ),
    "an exact class that is faked": (
        "class F:\n    __class__ = float\nreturn F()",
        _invalid("."),
    ),
    "a numpy number": ("import numpy\nreturn numpy.float32(0.25)", Ends(reward=0.25)),
    "a numpy truth": ("import numpy\nreturn numpy.bool_(True)", _invalid("not bool")),
}

SLEEPERS: dict[str, str] = {
    "sleeps": "import time\ntime.sleep(600)\nreturn 1.0",
    "computes for ever": "while True: pass",
    "holds the interpreter in C": "return float(len(str(9 ** (9 ** 9))))",
    "ignores every signal": (
        "import signal, time\nfor s in range(1, 64):\n    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\ntime.sleep(600)\nreturn 1.0"
    ),
    "catches everything": (
        "import time\nwhile True:\n    try: time.sleep(600)\n    except BaseException: pass\nreturn 1.0"
    ),
    "fills the result's descriptor": (
        "import os\nwhile True:\n    for fd in range(3, 64):\n        try: os.write(fd, b'x' * 65536)\n"
        "        except OSError: pass"
    ),
    "a regular expression that explodes": "import re\nreturn float(bool(re.match('(a+)+$', 'a' * 64 + 'b')))",
}

PROGRAMS = NETWORK | FILES | PROCESSES | KERNEL | RESOURCES | ENDINGS | REWARDS
