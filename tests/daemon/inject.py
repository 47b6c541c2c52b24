"""Makes another process do a system call, as whoever has taken it over could (ptrace(2), x86-64).

inject.py PID CALL [ARGUMENT..] prints "ok", the name of the error, or "killed SIGNAL".
An argument that is no number is a string, written below the process's stack.
"""
import ctypes, errno, os, signal, sys

CALLS = {"openat": 257, "socket": 41, "execve": 59, "kill": 62, "ptrace": 101, "setuid": 105, "connect": 42,
         "fork": 57, "unlink": 87, "mount": 165, "getpid": 39, "bpf": 321, "io_uring_setup": 425, "truncate": 76,
         "chmod": 90, "rename": 82, "mprotect": 10, "setresuid": 117, "chroot": 161, "memfd_create": 319,
         "symlink": 88, "symlinkat": 266, "fchmodat": 268, "utimensat": 280, "access": 21, "fcntl": 72, "socketpair": 53}
TRACEME, PEEK, CONT, STEP, GETREGS, SETREGS, ATTACH, DETACH = 0, 1, 7, 9, 12, 13, 16, 17
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
         "fs_base gs_base ds es fs gs").split()


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=None):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def wait(pid):
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        print("killed", signal.Signals(os.WTERMSIG(status)).name)
        sys.exit(0)
    if os.WIFEXITED(status):
        print("ended")
        sys.exit(0)
    return os.WSTOPSIG(status)


pid, call, *arguments = int(sys.argv[1]), *sys.argv[2:]
try:
    ptrace(ATTACH, pid)
except PermissionError:
    print("no ptrace")
    sys.exit(0)
wait(pid)
before = Registers()
ptrace(GETREGS, pid, ctypes.addressof(before))
with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
    memory.seek(before.rip - 2)
    assert memory.read(2) == b"\x0f\x05", "it is not in a system call"
    below = before.rsp - 4096
    values = []
    for argument in arguments:
        if argument.lstrip("-").isdigit():
            values.append(int(argument) % 2**64)
        else:
            memory.seek(below)
            memory.write(argument.encode() + b"\0")
            values.append(below)
            below += 512
changed = Registers.from_buffer_copy(before)
changed.rip -= 2
changed.rax = CALLS[call]
changed.orig_rax = 2**64 - 1
for name, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), values + [0] * 6):
    setattr(changed, name, value)
ptrace(SETREGS, pid, ctypes.addressof(changed))
ptrace(STEP, pid)
stopped = wait(pid)
while stopped not in (signal.SIGTRAP,):
    # Passed on: SIGSYS ends it.
    libc.ptrace(CONT, pid, None, ctypes.c_void_p(stopped))
    stopped = wait(pid)
after = Registers()
ptrace(GETREGS, pid, ctypes.addressof(after))
result = ctypes.c_longlong(after.rax).value
# The call that was broken off has brought nothing.
before.rax = 0
before.orig_rax = 2**64 - 1
ptrace(SETREGS, pid, ctypes.addressof(before))
ptrace(DETACH, pid)
print("ok" if result >= 0 else errno.errorcode.get(-result, result))
